import io

import numpy as np
import pytest

from job.data.sources.sequence_file import (
    Features,
    length_problem,
    not_finite_problem,
    read_sequence,
)
from job.types import Problem


def read(
    array: np.ndarray, *, max_length: int = 5, cut: int = 0, features: int | None = None
) -> np.ndarray | Problem:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    data = stream.getvalue()[: stream.tell() - cut]
    found = read_sequence(
        io.BytesIO(data),
        num_bytes=len(data),
        max_length=max_length,
        features=Features(features),
    )
    return found if isinstance(found, Problem) else not_finite_problem(found) or found


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "i1", "u2", "i8"])
def test_numbers_of_any_type_become_float32(dtype):
    found = read(np.arange(6).reshape(3, 2).astype(dtype))
    assert found.dtype == np.float32
    assert found.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def test_a_sequence_may_have_max_length_and_fortran_order():
    array = np.asfortranarray(np.arange(10.0).reshape(5, 2))
    assert read(array).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("array", "reason", "words"),
    [
        (np.zeros((0, 2)), "empty", "has no time step"),
        (np.zeros((6, 2)), "too_long", "has 6 steps (data.max_length is 5)"),
        (np.zeros(3), "shape", "numbers of the shape (time, features), got float64 (3,)"),
        (np.zeros((1, 2, 3)), "shape", "got float64 (1, 2, 3)"),
        (np.zeros((2, 2), bool), "shape", "got bool (2, 2)"),
        (np.array([["a"]]), "shape", "got <U1 (1, 1)"),
        (np.array([[{}]], object), "shape", "holds Python objects"),
        (np.zeros((2, 2), complex), "shape", "got complex128 (2, 2)"),
        (
            np.array([[1.0], [np.nan], [np.inf]]),
            "not_finite",
            "holds NaN or a number beyond float32 in step 2",
        ),
        (np.array([[1.0, 0], [2, 0], [1e300, 0]]), "not_finite", "in step 3"),
    ],
)
def test_any_other_array_is_rejected_with_its_reason(array, reason, words):
    found = read(array)
    assert isinstance(found, Problem)
    assert found.reason == reason
    assert words in found.detail


def test_a_truncated_file_is_rejected():
    found = read(np.zeros((3, 2)), cut=8)
    assert found == Problem(
        "undecodable", "declares the shape (3, 2) of float64, 48 bytes, and holds 40"
    )


def test_the_first_valid_sequence_sets_the_number_of_features():
    features = Features(None)
    assert features.problem(0, of="the first one") == Problem(
        "shape", "has 0 features, must be 1 to 65536"
    )
    assert features.problem(65537, of="the first one") is not None
    assert features.problem(6, of="the first one") is None
    assert features.problem(6, of="the first one") is None
    assert features.problem(5, of="the first one") == Problem(
        "shape", "has 5 features where the first one has 6"
    )


def test_the_configuration_sets_the_number_of_features():
    features = Features(3)
    assert features.problem(6, of="the first one") == Problem(
        "shape", "has 6 features where data.num_features is 3"
    )
    assert features.problem(3, of="the first one") is None


def test_lengths_have_bounds():
    assert [length_problem(steps, max_length=2) is None for steps in (0, 1, 2, 3)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_sequence_that_is_too_wide_is_not_read(monkeypatch):
    monkeypatch.setattr("job.data.sources.sequence_file.read_array", None)
    assert read(np.zeros((2, 6)), features=3) == Problem(
        "shape", "has 6 features where data.num_features is 3"
    )
    assert read(np.zeros((2, 70_000))).detail == "has 70000 features, must be 1 to 65536"
    monkeypatch.setattr("job.data.sources.sequence_file.MAX_SEQUENCE_BYTES", 4 * 11)
    assert read(np.zeros((3, 4))) == Problem(
        "too_large", "has 3 steps of 4 features, 48 bytes as float32 (at most 44)"
    )


def test_a_look_ahead_does_not_set_the_number():
    features = Features(None)
    assert features.known_problem(6) is None
    assert features.problem(5, of="the first one") is None
    assert features.known_problem(6) == features.problem(6, of="another")
    assert features.known_problem(5) is None
