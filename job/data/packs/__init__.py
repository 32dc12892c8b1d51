"""A data set as a folder of arrays that is opened instead of read."""
