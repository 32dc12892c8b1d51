"""Which workers and devices train together."""
