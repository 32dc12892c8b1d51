"""Reading many items in parts that fit the memory, or only some of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.sampling.permutation import make_rng

# Cuts row numbers, int64 (R,), into parts that can be looked at one at a time.
Parts = Callable[[NDArray[np.int64]], Iterator[NDArray[np.int64]]]

# Numbers in a part: large enough to keep NumPy busy, a few dozen MiB of working arrays.
_CELLS = 1 << 20

# Above every epoch and beside the streams of `data.splitting` and `data.drawing`. The
# seed is fixed: what is looked at does not change with `run.seed`.
_STREAM = 2**63 + 16
_SEED = 0


@dataclass(frozen=True)
class Distribution:
    """Some numbers, one an item, by their order; percentiles lie between by rank."""

    min: float
    median: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, numbers: NDArray[np.int64] | NDArray[np.float64]) -> "Distribution":
        """The distribution of some numbers, (R,), at least one."""
        return cls(*np.percentile(numbers, [0, 50, 90, 99, 100]).tolist())


def parts(rows: NDArray[np.int64], *, sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cuts row numbers where what they mean grows large; at least one row each.

    Args:
        rows: int64 (R,), row numbers.
        sizes: int64 (R,), how many numbers each of them means.
    """
    part = np.cumsum(sizes) // _CELLS
    for chosen in np.split(rows, np.flatnonzero(np.diff(part)) + 1):
        if len(chosen):
            yield chosen


def some(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` of the numbers below `count`, ascending; the same ones every time."""
    if count <= limit:
        return np.arange(count)
    return np.sort(make_rng(_SEED, stream=_STREAM).choice(count, limit, replace=False))
