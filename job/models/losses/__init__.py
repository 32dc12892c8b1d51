"""The losses, and the pairs that they compare."""
