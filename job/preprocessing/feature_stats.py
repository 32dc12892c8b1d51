"""Mean and standard deviation of each feature, over the time steps of the training items.

The encoder of sequences brings features to mean 0 and deviation 1 with them, so that one
measured in thousands does not drown one measured in thousandths.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.errors import DataError
from job.preprocessing.ragged import RaggedArray
from job.types import Json

_STEPS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class FeatureStats:
    """What a feature is like.

    Args:
        mean: Of each of F features.
        std: Standard deviation of each, > 0; that of a feature that never changes is 1.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, sequences: RaggedArray, rows: NDArray[np.int64]) -> "FeatureStats":
        """The moments of some sequences; take those of the training split only.

        Args:
            sequences: float32 (V, F) values.
            rows: int64 (R,), which of them, each once.
        """
        features = sequences.values.shape[1]
        count, total = 0, np.zeros(features)
        for steps in _chunks(sequences, rows):
            count += len(steps)
            total += steps.sum(axis=0)
        mean = total / max(count, 1)
        squares = np.zeros(features)
        # A second pass: the difference of two large sums would lose small deviations.
        for steps in _chunks(sequences, rows):
            squares += np.square(steps - mean).sum(axis=0)
        std = np.sqrt(squares / max(count, 1))
        # The encoder divides by it as a float32. A feature that is one number throughout has
        # exactly 0: sums of up to 2**29 equal float32 are exact in float64.
        std[std < np.finfo(np.float32).tiny] = 1.0
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def to_json(self) -> Json:
        return {"kind": "moments", "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, record: Mapping[str, Json]) -> "FeatureStats":
        """The moments that `to_json` wrote.

        Raises:
            DataError: The record is something else.
        """
        try:
            mean, std = (tuple(map(float, record[name])) for name in ("mean", "std"))  # type: ignore[arg-type]
            finite = np.isfinite(mean).all() and np.isfinite(std).all()
            if record.get("kind") != "moments" or len(mean) != len(std) or not finite:
                raise ValueError("mean and std must be finite and one for each feature")
            if min(std, default=1.0) <= 0.0:
                raise ValueError("a standard deviation is not above 0")
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"moments: {str(dict(record))[:80]!r} is not what was written ({error}). "
                "Restore the file it was read from, or make it again."
            ) from error
        return cls(mean, std)


def _chunks(sequences: RaggedArray, rows: NDArray[np.int64]) -> Iterable[NDArray[np.float64]]:
    """The time steps of the chosen sequences, float64, some at a time."""
    gathered: list[NDArray[np.generic]] = []
    size = 0
    for row in rows.tolist():
        steps = sequences.row(row)
        gathered.append(steps)
        size += len(steps)
        if size >= _STEPS_AT_A_TIME:
            yield np.concatenate(gathered).astype(np.float64)
            gathered, size = [], 0
    if gathered:
        yield np.concatenate(gathered).astype(np.float64)
