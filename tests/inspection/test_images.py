import numpy as np
import pytest

from job.config.data import ImageDataConfig
from job.data.pipeline.collators import ImageCollator
from job.inspection.chunking import Distribution
from job.inspection.images import (
    describe_pictures,
    inspect_pictures,
    max_pictures,
    picture_parts,
)
from job.preprocessing.ragged import RaggedArray
from tests.inspection.datasets import pictures
from tests.preprocessing.some_images import encoded


def collator_for(pixels):
    section = ImageDataConfig(kind="image", train="t.npz", size=pixels.shape[1])
    return ImageCollator(pictures(pixels), section)


def noise(count, size, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_pictures_of_one_colour_are_counted_and_brightness_is_their_mean():
    pixels = noise(4, 8)
    pixels[0] = 255
    pixels[1] = [10, 20, 30]  # one colour, though not grey
    pixels[2] = 0
    pixels[2, 7, 7, 2] = 192  # a single pixel differs: the mean is 192 over 192 values
    it = inspect_pictures(collator_for(pixels), np.array([0, 1, 2]))
    assert (it.num_looked_at, it.num_plain) == (3, 2)
    assert it.brightness == Distribution.of(np.array([255.0, 20.0, 1.0]))


def test_only_some_of_many_pictures_are_looked_at(monkeypatch):
    monkeypatch.setattr("job.inspection.images._MAX_VALUES", 8 * 8 * 3 * 20)
    it = inspect_pictures(collator_for(noise(9, 8)), np.arange(9))
    assert it.num_looked_at == 5


def test_files_are_looked_at_less_often_because_they_have_to_be_decoded():
    section = ImageDataConfig(kind="image", train="t.csv", size=8)
    files = RaggedArray(np.zeros(3, np.uint8), np.array([0, 1, 3]))
    assert max_pictures(ImageCollator(files, section)) == 4_000
    assert max_pictures(collator_for(noise(1, 8))) > 1_000_000


def test_parts_are_cut_by_pixels_and_not_by_the_bytes_of_files(monkeypatch):
    monkeypatch.setattr("job.inspection.chunking._CELLS", 2 * 8 * 8 * 3)
    section = ImageDataConfig(kind="image", train="t.csv", size=8)
    files = RaggedArray(np.zeros(5, np.uint8), np.arange(6))
    found = picture_parts(ImageCollator(files, section), np.arange(5))
    assert [len(part) for part in found] == [1, 2, 2]


@pytest.mark.parametrize("size", [8, 19, 32, 130])
def test_a_description_is_that_of_a_slow_reference(size):
    pixels = noise(3, size)
    found = describe_pictures(collator_for(pixels), np.array([2, 0]))
    assert found.shape == (2, 8 * 8 * 3 + 6)
    read = pixels[:, ::2, ::2] if size == 130 else pixels
    side = read.shape[1]
    for row, described in zip([2, 0], found, strict=True):
        edges = [*(k * side // 8 for k in range(8)), side]
        tiles = [
            read[row, edges[i] : edges[i + 1], edges[j] : edges[j + 1]].mean(axis=(0, 1))
            for i in range(8)
            for j in range(8)
        ]
        colours = [read[row].mean(axis=(0, 1)), read[row].std(axis=(0, 1))]
        np.testing.assert_allclose(described, np.concatenate([*tiles, *colours]), rtol=1e-9)


def test_files_are_decoded_to_be_looked_at():
    files = [encoded(np.full((9, 9, 3), value, np.uint8)) for value in (0, 100, 250)]
    section = ImageDataConfig(kind="image", train="t.csv", size=8, storage="encoded")
    it = inspect_pictures(ImageCollator(RaggedArray.from_bytes(files), section), np.arange(3))
    assert (it.num_plain, it.brightness.min, it.brightness.max) == (3, 0.0, 250.0)
