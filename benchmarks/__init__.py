"""Measurements that the documentation quotes; each says how it is run."""
