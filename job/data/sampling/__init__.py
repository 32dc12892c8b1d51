"""Samples the pairs of batches, as a pure function of seed and position."""
