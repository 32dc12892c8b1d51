"""The packed form of a data set: write, verify, open."""
