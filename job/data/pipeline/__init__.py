"""From row numbers to batches of arrays."""
