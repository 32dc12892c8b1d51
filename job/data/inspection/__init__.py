"""What a person should know about a data set before training on it.

`dataset.inspect_dataset` measures with the modules beside it, each of which knows one matter;
`findings` judges. Arrays may be memory-mapped: they are read in parts, and where that would
take long, of some items only, the same ones every time.
"""
