"""Assigns rows to splits."""
