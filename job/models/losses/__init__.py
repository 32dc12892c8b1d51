"""Losses, and the pairs that they compare."""
