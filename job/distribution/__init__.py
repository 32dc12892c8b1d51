"""The workers and devices that train together."""
