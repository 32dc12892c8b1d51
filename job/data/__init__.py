"""From pair files to the arrays training reads: items once, pairs as row numbers.

Reading order: `load` (the whole way), `paths`, `sources`, `quarantine`, `splits`, `tables`,
then `vocabulary`, `order` and `batches` (what the training loop calls) and `inspection`.
Nothing here knows TensorFlow.
"""
