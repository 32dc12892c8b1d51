"""One training run from start to exit; the only package that sees the whole configuration."""
