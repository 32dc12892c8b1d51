"""Encoders, heads, losses and optimizers as functions of their config sections."""
