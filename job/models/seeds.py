"""A seed of its own for everything random in a model.

Keras' global seed makes the value of one layer depend on how many layers came before it.
Here each consumer gets a seed that depends on the run's seed and on its own name only, and
what it draws while training does not depend on how often the model was looked at in between.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import keras
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


@contextmanager
def seeds_kept(model: keras.Model) -> Iterator[None]:
    """Puts the seed generators of a model back to where they were before the block.

    Put it around whatever runs the model without training it: Keras' recurrent layers draw
    their dropout masks there, too, although they do not use them (Keras 3.15, `RNN.call`).
    """
    variables = model.non_trainable_variables
    states = [one for one in variables if one.path.endswith("/seed_generator_state")]
    before = [np.array(state.value.numpy()) for state in states]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
