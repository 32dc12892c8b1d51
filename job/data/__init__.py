"""From files to the arrays training reads: items once, pairs as row numbers.

`load` is the whole way and `tables` its result. A room for each part of it, in the order data
pass through:

    places      where files are: below a folder, or copies of what is in a bucket
    formats     what a file holds: rows of tables, arrays, files of class folders
    pictures    PNG and JPEG files as pixels
    reading     items and pairs, each item once, bad rows kept out (`quarantine`)
    splitting   which split a row belongs to
    texts       tokens and their numbers (of sequences: `moments`)
    packs       the result as a folder of arrays, opened instead of read
    drawing     which pairs are seen when
    feeding     items as the rectangles a training step takes
    inspection  what a person should know before training

Nothing here knows TensorFlow.
"""
