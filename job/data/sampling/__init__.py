"""Which pairs a batch holds, as a pure function of seed and position."""
