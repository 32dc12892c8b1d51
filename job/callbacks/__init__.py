"""Adapters from Keras callback hooks to policies and services; the list and its state."""
