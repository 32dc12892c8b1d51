"""Turns row numbers into batches of arrays."""
