"""Pairs with known scores, as arguments of the exported model. G pairs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from job.preprocessing.ragged import RaggedArray, offsets_of

TEXTS, ARRAYS = "golden.json", "golden.npz"

# Strings; float32 (V, F) values of sequences; uint8 (G, S, S, 3) images.
Items = Sequence[str] | RaggedArray | npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class GoldenPairs:
    """Pairs with the scores that the trained model gives them.

    Args:
        left: First items.
        right: Second items, of the same kind.
        score: float32 (G,), in [0, 1].
    """

    left: Items
    right: Items
    score: npt.NDArray[np.float32]

    def arguments(self) -> dict[str, npt.NDArray[Any]]:
        """Arguments of the exported model's `score`, by name."""
        return _arguments("left", self.left) | _arguments("right", self.right)

    def save(self, folder: Path) -> str:
        """Writes `TEXTS` for texts and `ARRAYS` for other kinds.

        Returns:
            The file name.
        """
        if not isinstance(self.left, Sequence) or not isinstance(self.right, Sequence):
            arrays: dict[str, Any] = {**self.arguments(), "score": self.score}
            np.savez(folder / ARRAYS, **arrays)
            return ARRAYS
        pairs = zip(self.left, self.right, self.score.tolist(), strict=True)
        rows = [dict(zip(("left", "right", "score"), pair, strict=True)) for pair in pairs]
        text = json.dumps(rows, ensure_ascii=False, indent=1)
        (folder / TEXTS).write_text(f"{text}\n", encoding="utf-8")
        return TEXTS

    @classmethod
    def load(cls, folder: Path) -> "GoldenPairs":
        """Reads what `save` wrote.

        Raises:
            OSError: There is no such file.
            KeyError, ValueError: It holds something else.
        """
        texts = folder / TEXTS
        if texts.exists():
            rows = json.loads(texts.read_text(encoding="utf-8"))
            left, right, score = ([row[name] for row in rows] for name in cls.__annotations__)
            return cls(left, right, np.array(score, np.float32))
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            return cls(
                _items("left", arrays), _items("right", arrays), np.asarray(arrays["score"])
            )


def _items(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Items:
    """The inverse of `_arguments` for arrays."""
    values = arrays[name]
    if f"{name}_length" not in arrays:
        return values
    lengths = arrays[f"{name}_length"]
    is_step = np.arange(values.shape[1]) < lengths[:, None]
    return RaggedArray(values[is_step], offsets_of(lengths))


def _arguments(name: str, items: Items) -> dict[str, npt.NDArray[Any]]:
    if isinstance(items, RaggedArray):
        values = items.padded(np.arange(len(items)))
        return {name: values, f"{name}_length": items.lengths}
    if isinstance(items, np.ndarray):
        return {name: items}
    return {name: np.array(items, np.object_)}
