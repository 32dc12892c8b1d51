"""Scores pair files and finds matches in collections with an exported model."""
