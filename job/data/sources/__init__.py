"""Resolves the files below `data.root` and reads their formats."""
