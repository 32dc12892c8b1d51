from pathlib import Path

import numpy as np
import pytest

from job.config.data import ImageDataConfig, SequenceDataConfig
from job.data.items.array_items import array_items
from job.data.sources.npz import open_npz
from job.data.sources.sequence_file import Features
from job.errors import DataError
from job.types import Problem
from tests.data.archives import npz_of

WHERE = "data.train: 'a.npz'"
SEQUENCES = SequenceDataConfig(train="a.npz", max_length=4)
IMAGES = ImageDataConfig(train="a.npz", size=8, max_pixels=100)

VALUES = np.arange(18, dtype=np.float32).reshape(9, 2)
LENGTHS = np.array([2, 0, 3, 4])


def items(path: Path, section) -> list[list]:
    with open_npz(path, where=WHERE) as arrays:
        stored = array_items(arrays, section, features=Features(None))
    found = [stored.item(row) for row in range(stored.num_rows)]
    assert {item.dtype for item in found} == {stored.dtype}
    return [item.tolist() for item in found]


def problems(path: Path, section=SEQUENCES) -> dict[int, Problem]:
    with open_npz(path, where=WHERE) as arrays:
        return dict(array_items(arrays, section, features=Features(None)).problems)


def refusal(path: Path, section=SEQUENCES, features: Features | None = None) -> str:
    with open_npz(path, where=WHERE) as arrays, pytest.raises(DataError) as caught:
        array_items(arrays, section, features=features or Features(None))
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_row_is_one_sequence_as_float32(tmp_path, dtype, order):
    values = np.asarray(VALUES.astype(dtype), order=order)
    path = npz_of(tmp_path / "a.npz", values=values, lengths=LENGTHS)
    expected = [VALUES[start:end].tolist() for start, end in ((0, 2), (2, 2), (2, 5), (5, 9))]
    assert items(path, SEQUENCES) == expected


def test_rows_that_cannot_be_used_are_found(tmp_path):
    values = np.zeros((14, 2))
    values[3, 1], values[4, 0], values[9, 0] = np.nan, np.inf, 1e300
    lengths = np.array([1, 0, 4, 5, 4])
    path = npz_of(tmp_path / "a.npz", values=values, lengths=lengths)
    assert problems(path) == {
        1: Problem("empty", "has no time step"),
        # Steps 3 and 4 of the file are its second and third: the first is named.
        2: Problem("not_finite", "holds NaN or a number beyond float32 in step 3"),
        # Its infinite step 4 is named for the length already.
        3: Problem("too_long", "has 5 steps (data.max_length is 4)"),
    }


def test_integers_are_always_finite(tmp_path):
    path = npz_of(tmp_path / "a.npz", values=np.ones((9, 2), np.int64), lengths=LENGTHS)
    assert list(problems(path)) == [1]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"values": VALUES}, " has no array 'lengths'"),
        ({"lengths": LENGTHS}, " has no array 'values'"),
        (
            {"values": VALUES.reshape(-1)},
            ": the array 'values' must be numbers of the shape (time steps of all sequences, "
            "features), got float32 (18,). ",
        ),
        ({"values": VALUES.astype("U")}, "features), got <U32 (9, 2). "),
        (
            {"values": VALUES, "lengths": LENGTHS.astype(float)},
            ": the array 'lengths' must hold one integer a sequence, got float64 (4,). ",
        ),
        ({"values": VALUES, "lengths": LENGTHS[:, None]}, "got int64 (4, 1). "),
        (
            {"values": VALUES, "lengths": LENGTHS[:3]},
            ": the array 'lengths' does not add up: 5 steps in all, where 'values' holds 9. ",
        ),
        (
            {"values": VALUES, "lengths": np.array([-1, 10])},
            ": the array 'lengths' holds -1 in row 1. ",
        ),
        # 2**63 + 2**63 + 9 = 9 in 64 bits.
        (
            {"values": VALUES, "lengths": np.array([2**63, 2**63, 9], np.uint64)},
            f": the array 'lengths' holds -{2**63} in row 1. ",
        ),
        # 3 * (2**62 - 1) + 2**62 + 12 = 9 in 64 bits.
        (
            {"values": VALUES, "lengths": np.array([2**62 - 1] * 3 + [2**62 + 12])},
            ": the array 'lengths' does not add up: more than there are, where 'values' ",
        ),
    ],
)
def test_arrays_of_sequences_that_do_not_fit_are_refused(tmp_path, arrays, words):
    message = refusal(npz_of(tmp_path / "a.npz", **arrays))
    assert message.startswith(WHERE)
    assert words in message


def test_another_number_of_features_is_an_error_of_the_array(tmp_path):
    path = npz_of(tmp_path / "a.npz", values=VALUES, lengths=LENGTHS)
    assert refusal(path, features=Features(3)).startswith(
        f"{WHERE}: the array 'values' has 2 features where data.num_features is 3. "
    )


def test_images_are_brought_to_size(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    path = npz_of(tmp_path / "a.npz", images=images)
    assert items(path, IMAGES) == images.tolist()


def test_grayscale_images_of_another_size_become_rgb(tmp_path):
    images = np.full((2, 4, 16), 100, np.uint8)
    path = npz_of(tmp_path / "a.npz", images=images)
    found = np.array(items(path, IMAGES)[1])
    assert found.shape == (8, 8, 3)
    # Half as high as wide: white above and below.
    assert found[:, 0, 0].tolist() == [255] * 3 + [100] * 2 + [255] * 3
    assert problems(path, IMAGES) == {}


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 8, 8, 3)), "got float64 (2, 8, 8, 3)"),
        (np.zeros((2, 8, 8, 4), np.uint8), "got uint8 (2, 8, 8, 4)"),
        (np.zeros((8, 8), np.uint8), "got uint8 (8, 8)"),
        (np.zeros((2, 0, 8, 3), np.uint8), "got uint8 (2, 0, 8, 3)"),
        (np.zeros((2, 10, 11, 3), np.uint8), "11 x 10 pixels (data.max_pixels is 100)"),
    ],
)
def test_arrays_of_images_that_do_not_fit_are_refused(tmp_path, images, words):
    message = refusal(npz_of(tmp_path / "a.npz", images=images), IMAGES)
    assert message.startswith(f"{WHERE}: the array 'images' ")
    assert words in message
