"""Where data files are: below a folder, or copies of what is in a bucket."""
