"""Encoders: from an item to its embedding, one module a kind; `build` chooses."""
