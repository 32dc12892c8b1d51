"""Trains Siamese models (one shared encoder, one pair head) that survive being killed."""

__version__ = "0.1.0"
