"""From files to the arrays training reads: items once, pairs as row numbers.

Reading order: `load` (the whole way), then what it goes through. Which files: `paths`, `files`,
`given`. A file's rows: `sources` and `records` (tables), `npz` and `npy` (arrays),
`class_folders`; `cells`, `quarantine`. Items: `readers`, `items`, `catalogue`, `stored`. Rows:
`load_pairs`, `pair_rows`; `load_items`, `item_rows`; `marks`. Splits: `division`, `cuts`,
`splits`. The result: `tables`, `ragged`; then `vocabulary`, `moments`, `feeds`, `order` and
`batches` (what the training loop calls) and `inspect`. Nothing here knows TensorFlow.
"""
