"""Mean and standard deviation of each feature over the time steps of the training items.

The sequence encoder standardises features with them, so that a feature measured in thousands
does not dominate one measured in thousandths.
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
    """Statistics of F features.

    Args:
        mean: Mean of each feature.
        std: Standard deviation of each feature, > 0; 1 for a constant feature.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, sequences: RaggedArray, rows: NDArray[np.int64]) -> "FeatureStats":
        """Computes the statistics of some sequences, which must be those of the training split.

        Args:
            sequences: float32 (V, F) values.
            rows: int64 (R,), the sequences, without repeats.
        """
        features = sequences.values.shape[1]
        count, total = 0, np.zeros(features)
        for steps in _chunks(sequences, rows):
            count += len(steps)
            total += steps.sum(axis=0)
        mean = total / max(count, 1)
        squares = np.zeros(features)
        # A second pass: the difference of two large sums would lose small standard deviations.
        for steps in _chunks(sequences, rows):
            squares += np.square(steps - mean).sum(axis=0)
        std = np.sqrt(squares / max(count, 1))
        # The encoder divides by std as float32. For a constant feature std is exactly 0 here:
        # sums of up to 2**29 equal float32 numbers are exact in float64.
        std[std < np.finfo(np.float32).tiny] = 1.0
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def to_json(self) -> Json:
        return {"kind": "moments", "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, record: Mapping[str, Json]) -> "FeatureStats":
        """Reads what `to_json` wrote.

        Raises:
            DataError: The record is something else.
        """
        try:
            mean, std = (tuple(map(float, record[name])) for name in ("mean", "std"))  # type: ignore[arg-type]
            finite = np.isfinite(mean).all() and np.isfinite(std).all()
            if record.get("kind") != "moments" or len(mean) != len(std) or not finite:
                raise ValueError("mean and std must be finite, with one value per feature")
            if min(std, default=1.0) <= 0.0:
                raise ValueError("std must be above 0")
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"feature statistics: {str(dict(record))[:80]!r} are not those of this release "
                f"({error!r}). Restore the file they were read from, or create it again."
            ) from error
        return cls(mean, std)


def _chunks(sequences: RaggedArray, rows: NDArray[np.int64]) -> Iterable[NDArray[np.float64]]:
    """The time steps of some sequences as float64, in chunks."""
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
