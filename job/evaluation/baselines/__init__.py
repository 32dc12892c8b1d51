"""Scores of untrained baselines."""
