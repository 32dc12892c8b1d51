"""What `data inspect` measures, judges and prints."""
