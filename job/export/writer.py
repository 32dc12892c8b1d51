"""Writes the exported model, loads it back and checks that it still says the same."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.errors import JobError
from job.export.serving import TextModule, code_points_of
from job.models.siamese import Siamese

FOLDER = "export"
# Another batch shape may round another way; a real fault is orders of magnitude larger.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class GoldenPairs:
    """Pairs with the scores that training's own model gives them.

    Attributes:
        left: First items.
        right: Second items.
        score: float32 (G,), in [0, 1].
    """

    left: Sequence[str]
    right: Sequence[str]
    score: npt.NDArray[np.float32]


def export_model(
    siamese: Siamese,
    *,
    characters: str,
    threshold: float,
    golden: GoldenPairs,
    write: Callable[[str, bytes], None],
) -> list[str]:
    """Exports the scorer (strings in, scores out) and the bare Keras models.

    Args:
        siamese: The trained model, built outside any strategy.
        characters: The vocabulary, ascending by code point.
        threshold: The operating point that `match` uses.
        golden: Scores to check the export against.
        write: Replaces an object of the run; names begin with `export/`, the manifest is last.

    Returns:
        Names of the objects written.

    Raises:
        JobError: What was loaded back scores the golden pairs differently.
    """
    with tempfile.TemporaryDirectory(prefix="siamese-export-") as name:
        folder = Path(name)
        module = TextModule(
            siamese, code_points=code_points_of(characters), threshold=threshold
        )
        signatures = {"score": module.score, "embed": module.embed}
        tf.saved_model.save(module, folder / "scorer", signatures=signatures)
        siamese.encoder.save(folder / "encoder.keras")
        siamese.scorer.save(folder / "pair_model.keras")
        _check(folder, golden=golden)
        _write_json(folder / "golden.json", _golden_rows(golden))
        _write_json(folder / "vocabulary.json", list(characters))
        return _upload(folder, threshold=threshold, write=write)


def _check(folder: Path, *, golden: GoldenPairs) -> None:
    loaded = tf.saved_model.load(str(folder / "scorer"))
    score = loaded.score(tf.constant(golden.left), tf.constant(golden.right))["score"].numpy()
    for name in ("encoder.keras", "pair_model.keras"):
        keras.models.load_model(folder / name, compile=False)
    gap = float(np.max(np.abs(score - golden.score), initial=0.0))
    if not gap <= TOLERANCE:
        raise JobError(
            f"The exported scorer differs from the trained model by {gap:.2g} on "
            f"{len(golden.score)} golden pairs (allowed: {TOLERANCE:g}). Nothing was exported; "
            "please report this with the configuration."
        )


def _golden_rows(golden: GoldenPairs) -> list[dict[str, object]]:
    rows = zip(golden.left, golden.right, golden.score.tolist(), strict=True)
    return [{"left": left, "right": right, "score": score} for left, right, score in rows]


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _upload(
    folder: Path, *, threshold: float, write: Callable[[str, bytes], None]
) -> list[str]:
    names, digests = [], {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        relative = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        digests[relative] = hashlib.sha256(data).hexdigest()
        write(f"{FOLDER}/{relative}", data)
        names.append(f"{FOLDER}/{relative}")
    manifest = {"schema": 1, "threshold": threshold, "sha256": digests}
    data = json.dumps(manifest, indent=1, sort_keys=True).encode()
    write(f"{FOLDER}/manifest.json", data)
    return [*names, f"{FOLDER}/manifest.json"]
