"""A seed of its own for everything random in a model.

Keras' global seed makes the value of one layer depend on how many layers came before it.
Here each consumer gets a seed that depends on the run's seed and on its own name only.
"""

import zlib

import numpy as np


def derive_seed(seed: int, *, name: str) -> int:
    """Seed of the consumer called `name`.

    Args:
        seed: The run's seed, >= 0.
        name: What the seed is for, for example `encoder/forward/kernel`.

    Returns:
        An integer in [0, 2**31), independent of every other name's.
    """
    key = np.array([seed, zlib.crc32(name.encode())], dtype=np.uint64)
    return int(np.random.Generator(np.random.Philox(key=key)).integers(2**31))
