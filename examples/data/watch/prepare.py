"""Makes the windows of smart-watch exercises from the recordings in seglearn 1.2.5.

    .venv/bin/python -m examples.data.watch.prepare [FOLDER]

A recording is one person doing one exercise with one arm. It is cut into windows of three
seconds that overlap by half, so windows of a recording, and of a person, stay in one split.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from examples.data import files
from job.checkpoints.serialization import encode_npz

PINNED = "seglearn==1.2.5"
SOURCE = "seglearn/data/watch_dataset.npy"
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"

WINDOW = 150  # samples, at 50 a second
STRIDE = 75
SPLIT_OF_PERSON = {
    **dict.fromkeys(range(1, 7), "train"),
    **dict.fromkeys((7, 8), "validation"),
    **dict.fromkeys((9, 10), "test"),
}


def recordings() -> list[tuple[np.ndarray, str, int]]:
    """Samples (time, 6), exercise and person of each recording."""
    # The file is a pickle, which can run any code: `package_file` returns only the pinned one.
    data = files.package_file(SOURCE, pinned=PINNED, sha256=SHA256)
    loaded = np.load(io.BytesIO(data), allow_pickle=True).item()
    exercises = [str(loaded["y_labels"][number]) for number in loaded["y"]]
    people = [int(person) for person in loaded["subject"]]
    return list(zip(loaded["X"], exercises, people, strict=True))


def windows(samples: np.ndarray) -> list[np.ndarray]:
    """The whole windows of a recording; the remainder is dropped."""
    starts = range(0, len(samples) - WINDOW + 1, STRIDE)
    return [samples[start : start + WINDOW] for start in starts]


def arrays_of(found: Iterable[tuple[np.ndarray, str, int]]) -> dict[str, np.ndarray]:
    """The arrays of the file: every window with its exercise, person and split."""
    rows = [
        (window, exercise, f"person-{person}", SPLIT_OF_PERSON[person])
        for samples, exercise, person in found
        for window in windows(samples)
    ]
    cut, exercises, people, splits = zip(*rows, strict=True)
    return {
        "values": np.concatenate(cut).astype("<f4"),
        "lengths": np.array([len(window) for window in cut], "<i8"),
        "class": np.array(exercises),
        "group": np.array(people),
        "split": np.array(splits),
    }


def make() -> dict[str, bytes]:
    """The file by its name."""
    return {"watch.npz": encode_npz(arrays_of(recordings()))}


if __name__ == "__main__":
    files.prepare(make, beside=Path(__file__).parent)
