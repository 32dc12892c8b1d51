"""Turns an item into numbers, without file access; used by data and export."""
