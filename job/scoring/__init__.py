"""Uses an exported model on files: scores pairs, finds matches."""
