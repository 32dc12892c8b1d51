"""No-learning scores of pictures and sequences against slow references of a few lines each."""

import numpy as np
import pytest

from job.evaluation.baselines import vector
from job.evaluation.baselines.vector import (
    cosine,
    mean_pixels,
    nearness,
    pixel_vectors,
    resampled_steps,
    slices,
    step_deviations,
    step_means,
)
from job.preprocessing.decode_image import fit_pixels
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of

PLAIN = FeatureStats((0.0, 0.0), (1.0, 1.0))
MOMENTS = FeatureStats((1.0, -200.0), (2.0, 50.0))
VECTORS = np.random.default_rng(3).normal(size=(20, 7)).astype(np.float32)
LEFT, RIGHT = np.random.default_rng(4).integers(0, 20, (2, 100))


def sequences_of(*sequences):
    lengths = np.array([len(steps) for steps in sequences])
    return RaggedArray(np.concatenate(sequences).astype(np.float32), offsets_of(lengths))


def random_sequences(lengths):
    random = np.random.default_rng(1)
    return sequences_of(*(random.normal(1, 30, (length, 2)) for length in lengths))


def pictures_of(count, size):
    return np.random.default_rng(2).integers(0, 256, (count, size, size, 3), np.uint8)


def slow_resampled(steps, num_steps):
    """Every step repeated so often that the pieces come out even, then means of pieces."""
    repeated = np.repeat(steps, num_steps, axis=0)
    return repeated.reshape(num_steps, len(steps), -1).mean(axis=1)


@pytest.mark.parametrize("length", [1, 2, 5, 31, 32, 33, 64, 100])
def test_a_sequence_becomes_32_means_over_equal_times(length):
    sequences = random_sequences([3, length, 4])
    found = resampled_steps(sequences, np.array([1]), moments=MOMENTS)
    assert found.dtype == np.float32
    steps = (sequences.row(1).astype(np.float64) - MOMENTS.mean) / MOMENTS.std
    np.testing.assert_allclose(found[0], slow_resampled(steps, 32).reshape(-1), atol=1e-5)


def test_a_resampled_sequence_keeps_its_course():
    rising = np.stack([np.arange(96.0), np.full(96, 7.0)], axis=1)
    found = resampled_steps(sequences_of(rising), np.array([0]), moments=PLAIN)
    # Steps 0, 1, 2 have the mean 1, steps 3, 4, 5 the mean 4.
    assert found.reshape(32, 2).tolist() == [[1.0 + 3 * i, 7.0] for i in range(32)]


def test_means_and_deviations_are_those_of_each_sequence_in_the_units_of_all():
    sequences = sequences_of([[3, -200], [5, -100]], [[1, -250]])
    rows = np.array([1, 0])
    # (3 - 1) / 2 = 1 and (5 - 1) / 2 = 2; 0 and 2.
    means = step_means(sequences, rows, moments=MOMENTS)
    assert means.tolist() == [[0, -1], [1.5, 1]]
    assert step_deviations(sequences, rows, moments=MOMENTS).tolist() == [[0, 0], [0.5, 1]]
    assert means.dtype == np.float32


@pytest.mark.parametrize("make", [resampled_steps, step_means, step_deviations])
def test_a_sequence_has_its_vector_whatever_stands_beside_it(make):
    sequences = random_sequences([5, 40, 1, 70])
    whole = make(sequences, np.arange(4), moments=MOMENTS)
    some = make(sequences, np.array([3, 0, 3]), moments=MOMENTS)
    assert some.tobytes() == whole[[3, 0, 3]].tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [8, 16, 50])
def test_a_picture_becomes_its_pixels_made_small(size, dtype, monkeypatch):
    pictures = pictures_of(9, size)
    rows = np.array([8, 1, 1, 4, 0])
    asked = []

    def pixels(wanted):
        asked.append(len(wanted))
        return pictures[wanted].astype(dtype)

    expected = [fit_pixels(pictures[row], size=16, resize="stretch").ravel() for row in rows]
    # Two pictures at a time.
    monkeypatch.setattr(vector, "_BYTES", 2 * pixels(rows[:1]).nbytes + 1)
    found = pixel_vectors(pixels, rows)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    assert max(asked) == 2
    assert pixel_vectors(pixels, rows[:0]).shape == (0, 768)


def test_the_mean_picture_is_that_of_all_or_of_some_evenly_spaced(monkeypatch):
    pictures = pictures_of(10, 16)
    flat = pictures.reshape(10, -1)
    rows = np.array([0, 2, 4, 6, 8])
    found = mean_pixels(pictures.__getitem__, rows)
    np.testing.assert_allclose(found, flat[rows].mean(axis=0), rtol=1e-6)
    monkeypatch.setattr(vector, "_MOST_AVERAGED", 2)
    found = mean_pixels(pictures.__getitem__, rows)
    np.testing.assert_allclose(found, flat[[0, 6]].mean(axis=0), rtol=1e-6)


def test_cosines_and_distances_equal_the_definitions():
    a, b = VECTORS[LEFT].astype(np.float64), VECTORS[RIGHT].astype(np.float64)
    dot = (a * b).sum(axis=1)
    lengths = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    np.testing.assert_allclose(cosine(VECTORS, LEFT, RIGHT), dot / lengths, atol=1e-6)
    distance = np.sqrt(((a - b) ** 2).sum(axis=1))
    np.testing.assert_allclose(nearness(VECTORS, LEFT, RIGHT), -distance, atol=1e-6)


@pytest.mark.parametrize("compare", [cosine, nearness])
def test_comparisons_are_symmetric_and_do_not_depend_on_chunks(compare, monkeypatch):
    found = compare(VECTORS, LEFT, RIGHT)
    assert found.dtype == np.float64
    assert np.array_equal(found, compare(VECTORS, RIGHT, LEFT))
    monkeypatch.setattr(vector, "_CELLS", 3 * 7 + 1)
    assert np.array_equal(found, compare(VECTORS, LEFT, RIGHT))
    monkeypatch.setattr(vector, "_CELLS", 1)
    assert np.array_equal(found, compare(VECTORS, LEFT, RIGHT))


def test_a_vector_without_length_is_like_nothing():
    vectors = np.array([[0, 0], [3, 4]], np.float32)
    assert cosine(vectors, np.array([0, 0, 1]), np.array([0, 1, 1])).tolist() == [
        0.0,
        0.0,
        pytest.approx(1.0),
    ]


@pytest.mark.parametrize(
    ("count", "at_a_time", "expected"),
    [(0, 3, []), (2, 3, [(0, 2)]), (6, 3, [(0, 3), (3, 6)]), (7, 3, [(0, 3), (3, 6), (6, 7)])],
)
def test_slices_cover_everything_once(count, at_a_time, expected):
    assert [(some.start, some.stop) for some in slices(count, at_a_time)] == expected


@pytest.mark.parametrize("large", [1e20, 9.97e36, -3e38])
def test_a_large_number_spoils_no_score(large):
    steps = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    steps[4, 0] = large
    sequences = RaggedArray(steps, np.array([0, 3, 6, 9]))
    moments = FeatureStats((0.0, 0.0), (1e-3, 1.0))
    left, right = np.array([0, 1, 1]), np.array([2, 2, 1])
    with np.errstate(all="raise"):
        for make in (step_means, step_deviations, resampled_steps):
            vectors = make(sequences, np.arange(3), moments=moments)
            for compare in (cosine, nearness):
                assert np.isfinite(compare(vectors, left, right)).all()
