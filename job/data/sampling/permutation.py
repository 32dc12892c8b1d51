"""The order of the pairs of an epoch: a pure function of seed and epoch.

Batch k of an epoch is `order[k * B : (k + 1) * B]`, so training resumes at any step from three
integers. A test compares recorded permutations, so that a NumPy with another stream fails.

Source: Philox is the counter-based generator of Salmon et al., "Parallel random numbers: as
easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

from job.errors import ConfigError


def epoch_permutation(num_pairs: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Permutes the pairs of one epoch.

    Args:
        num_pairs: Training pairs, >= 0.
        seed: `run.seed`, in [0, 2**64).
        epoch: Counted from 0, below 2**63.

    Returns:
        int64 (num_pairs,), each pair number once.
    """
    return make_rng(seed, stream=epoch).permutation(num_pairs)


def make_rng(seed: int, *, stream: int) -> np.random.Generator:
    """A generator whose numbers depend on (seed, stream) alone, both in [0, 2**64).

    Streams below 2**63 are epochs; other uses take streams above.
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], np.uint64)))


def steps_in_epoch(num_pairs: int, global_batch_size: int) -> int:
    """The number of whole batches of an epoch; the remaining pairs are not visited.

    Raises:
        ConfigError: The pairs fill no batch.
    """
    steps = num_pairs // global_batch_size
    if steps == 0:
        raise ConfigError(
            f"training.global_batch_size: {global_batch_size} is more than the {num_pairs} "
            "training pairs, so an epoch has no step. Set it to at most that, or give more "
            "pairs."
        )
    return steps
