"""What a text is cut into, and the numbers of its tokens."""
