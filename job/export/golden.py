"""Pairs with known scores, as arguments of the exported model. G pairs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from job.preprocessing.ragged import RaggedArray

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
        """Writes `golden.json` for texts and `golden.npz` for other kinds.

        Returns:
            The file name.
        """
        if not isinstance(self.left, Sequence) or not isinstance(self.right, Sequence):
            arrays: dict[str, Any] = {**self.arguments(), "score": self.score}
            np.savez(folder / "golden.npz", **arrays)
            return "golden.npz"
        pairs = zip(self.left, self.right, self.score.tolist(), strict=True)
        rows = [dict(zip(("left", "right", "score"), pair, strict=True)) for pair in pairs]
        text = json.dumps(rows, ensure_ascii=False, indent=1)
        (folder / "golden.json").write_text(f"{text}\n", encoding="utf-8")
        return "golden.json"


def _arguments(name: str, items: Items) -> dict[str, npt.NDArray[Any]]:
    if isinstance(items, RaggedArray):
        values = items.padded(np.arange(len(items)))
        return {name: values, f"{name}_length": items.lengths}
    if isinstance(items, np.ndarray):
        return {name: items}
    return {name: np.array(items, np.object_)}
