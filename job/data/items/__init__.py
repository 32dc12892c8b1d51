"""Turns the rows of files into items and pairs, each item once."""
