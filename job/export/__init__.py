"""Exports models for use outside this package."""
