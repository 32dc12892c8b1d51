"""Packed data sets: a folder of `.npy` files that is mapped instead of read."""
