"""A separate seed for everything random in a model.

With Keras' global seed, the values of a layer depend on how many layers were built before it.
Here the seed of each layer depends on the run's seed and on the name of the layer alone.
"""

import zlib

import numpy as np


def derive_seed(seed: int, *, name: str) -> int:
    """The seed for `name`.

    Args:
        seed: The run's seed, >= 0.
        name: Use of the seed, for example `encoder/forward/kernel`.

    Returns:
        An integer in [0, 2**31), independent of the seeds of other names.
    """
    key = np.array([seed, zlib.crc32(name.encode())], dtype=np.uint64)
    return int(np.random.Generator(np.random.Philox(key=key)).integers(2**31))
