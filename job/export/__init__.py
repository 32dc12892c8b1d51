"""Models for use outside this program."""
