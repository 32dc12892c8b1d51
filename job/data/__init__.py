"""From files to training batches: each item once, pairs as row numbers.

`load.load_dataset` reads files into a `dataset.Dataset`; rejected rows go to its `quarantine`.
Packages in the order of the data; lines higher up import lower ones only:

    load                    DataConfig -> Dataset
    items | packed          rows -> ItemTable, FileRows | a folder of arrays -> Dataset
    splits | pipeline       FileRows -> rows of each split | Dataset, SampledPairs -> arrays
    sources | sampling      files below data.root -> records, arrays | Dataset -> SampledPairs
    dataset                 ItemTable, PairTable, Dataset
    quarantine              rejected rows

Nothing here imports TensorFlow.
"""
