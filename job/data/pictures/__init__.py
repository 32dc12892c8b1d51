"""PNG and JPEG files as pixels."""
