"""A training run from start to exit; the only place that sees the whole configuration."""
