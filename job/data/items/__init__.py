"""Rows to items and pairs, each item once."""
