"""Encoders: from an item to its embedding, one module per kind."""
