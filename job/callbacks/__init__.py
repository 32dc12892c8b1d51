"""Thin adapters from Keras' callback hooks to policies and services."""
