import numpy as np
import pytest

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.preprocessing import augmentation, counter_rng
from job.preprocessing.augmentation import augment_images, augment_sequences
from job.preprocessing.counter_rng import uniform
from job.preprocessing.ragged import RaggedArray, offsets_of

EVERYTHING = ImageAugmentationConfig(flip=True, crop=0.3, colour=0.4)
IMAGE_OPTIONS = [
    ImageAugmentationConfig(flip=True),
    ImageAugmentationConfig(crop=0.25),
    ImageAugmentationConfig(colour=0.5),
    EVERYTHING,
]
STD = (1.0, 100.0)


def images_of(count, size=12):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def augmented(images, section=EVERYTHING, *, seed=5, epoch=2, index=None):
    index = np.arange(len(images)) if index is None else index
    return augment_images(images, section, seed=seed, epoch=epoch, index=index)


def sequences_of(lengths):
    offsets = offsets_of(np.array(lengths))
    steps = np.arange(offsets[-1])
    # The value of a step is its position among all steps.
    return RaggedArray(np.stack([steps, -steps], axis=1).astype(np.float32), offsets)


def altered(sequences, *, crop=0.0, jitter=0.0, seed=5, epoch=2, index=None):
    section = SequenceAugmentationConfig(crop=crop, jitter=jitter)
    index = np.arange(len(sequences)) if index is None else index
    return augment_sequences(sequences, section, std=STD, seed=seed, epoch=epoch, index=index)


def rows_of(ragged):
    return [ragged.row(number) for number in range(len(ragged))]


def test_without_options_nothing_changes():
    images = images_of(4)
    found = augmented(images, ImageAugmentationConfig())
    assert found.dtype == np.uint8
    assert np.array_equal(found, images)
    sequences = sequences_of([3, 1])
    found = altered(sequences)
    assert np.array_equal(found.values, sequences.values)
    assert np.array_equal(found.offsets, sequences.offsets)


@pytest.mark.parametrize("section", IMAGE_OPTIONS, ids=str)
def test_an_image_is_augmented_alike_in_every_batch_and_position(section):
    images = images_of(40, size=13)
    whole = augmented(images, section)
    assert whole.dtype == np.uint8
    chosen = np.array([39, 7, 7, 0, 23])
    together = augmented(images[chosen], section, index=chosen)
    assert together.tobytes() == whole[chosen].tobytes()
    for number in range(40):
        one = slice(number, number + 1)
        alone = augmented(images[one], section, index=np.array([number]))
        assert alone.tobytes() == whole[one].tobytes()


@pytest.mark.parametrize(
    "options", [{"crop": 0.5}, {"jitter": 0.3}, {"crop": 0.5, "jitter": 1}]
)
def test_a_sequence_is_augmented_alike_in_every_batch_and_position(options):
    sequences = sequences_of([5, 1, 40, 17, 9])
    whole = rows_of(altered(sequences, **options))
    chosen = np.array([4, 2, 2, 0])
    together = rows_of(altered(sequences.take(chosen), index=chosen, **options))
    for row, number in zip(together, chosen, strict=True):
        assert row.tobytes() == whole[number].tobytes()
    for number in range(5):
        one = np.array([number])
        assert altered(sequences.take(one), index=one, **options).values.tobytes() == (
            whole[number].tobytes()
        )


@pytest.mark.parametrize("change", [{"seed": 6}, {"epoch": 3}, {"index": np.arange(50, 100)}])
def test_another_seed_epoch_or_index_gives_other_bits(change):
    images = images_of(50)
    for section in IMAGE_OPTIONS:
        assert not np.array_equal(
            augmented(images, section), augmented(images, section, **change)
        )
    sequences = sequences_of([40] * 50)
    for options in ({"crop": 0.5}, {"jitter": 0.1}):
        one, other = (
            altered(sequences, **options),
            altered(sequences, **options, **change),
        )
        assert one.values.tobytes() != other.values.tobytes()


@pytest.mark.parametrize("section", IMAGE_OPTIONS, ids=str)
def test_the_input_is_not_altered(section):
    images = images_of(8)
    before = images.copy()
    augmented(images, section)
    assert np.array_equal(images, before)
    sequences = sequences_of([5, 6])
    before = sequences.values.copy()
    altered(sequences, crop=0.5, jitter=0.5)
    assert np.array_equal(sequences.values, before)


def test_half_of_the_images_are_flipped():
    images = images_of(1000, size=8)
    found = augmented(images, ImageAugmentationConfig(flip=True))
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((found == images).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert 420 < mirrored.sum() < 580  # 5 standard deviations


def test_a_crop_shows_a_square_part_of_the_image():
    # Red is the column of a pixel, green its row.
    size, count = 100, 500
    images = np.zeros((count, size, size, 3), np.uint8)
    images[..., 0] = 2 * np.arange(size)
    images[..., 1] = 2 * np.arange(size)[:, None]
    found = augmented(images, ImageAugmentationConfig(crop=0.4)) / 2
    assert (found % 1 == 0.5).any()  # between two columns
    assert not found[..., 2].any()
    left, right = found[:, 50, 0, 0], found[:, 50, -1, 0]
    top, bottom = found[:, 0, 50, 1], found[:, -1, 50, 1]
    # All columns show one part, up to rounding, and it is as high as it is wide.
    assert np.abs(found[:, :, :, 0] - found[:, :1, :, 0]).max() <= 1
    assert np.abs((right - left) - (bottom - top)).max() <= 2
    cut = 99 - (right - left)
    assert cut.min() >= 0
    assert 37 < cut.max() < 42
    assert np.histogram(cut, bins=4, range=(0, 40))[0].min() > 80
    # What is cut off is on both sides, in each direction by itself.
    large = cut > 10
    for begin in (left, top):
        share = (begin / np.maximum(cut, 1))[large]
        assert share.min() < 0.1
        assert share.max() > 0.9
    assert abs(np.corrcoef(left[large], top[large])[0, 1]) < 0.5


def test_a_crop_of_one_colour_is_of_that_colour():
    images = np.full((30, 16, 16, 3), 77, np.uint8)
    assert (augmented(images, ImageAugmentationConfig(crop=0.5)) == 77).all()


def test_a_crop_never_leaves_the_image(monkeypatch):
    for drawn in (0.0, 1.0 - 2.0**-53):
        monkeypatch.setattr(
            augmentation,
            "uniform",
            lambda *_, index, drawn=drawn, **__: np.full(len(index), drawn),
        )
        for size in range(8, 70):
            found = augmented(images_of(2, size=size), ImageAugmentationConfig(crop=0.3))
            assert found.shape == (2, size, size, 3)


def slow_blend(other, pixels, factor):
    """From `other` at 0 over `pixels` at 1 to beyond them, cut off to 8 bits."""
    blended = other.astype(np.float32) + np.float32(factor) * (
        pixels.astype(np.float32) - other.astype(np.float32)
    )
    return np.clip(blended, 0, 255).astype(np.uint8)


def slow_grey(pixels):
    """Source: ITU-R 601-2, as Pillow's convert documents it."""
    grey = (pixels.astype(np.int64) @ [19595, 38470, 7471] + 0x8000) >> 16
    return grey[..., None].repeat(3, axis=-1)


def slow_colours(image, brightness, contrast, saturation):
    """Source: the documentation of `PIL.ImageEnhance`."""
    image = slow_blend(np.zeros_like(image), image, brightness)
    mean = int(slow_grey(image).mean() + 0.5)
    image = slow_blend(np.full_like(image, mean), image, contrast)
    return slow_blend(slow_grey(image), image, saturation)


@pytest.mark.parametrize("colour", [0.2, 1.0])
def test_brightness_contrast_and_saturation_change_one_after_the_other(colour):
    images = images_of(20)
    found = augmented(images, ImageAugmentationConfig(colour=colour))
    factors = [
        1 - colour + 2 * colour * uniform(5, epoch=2, index=np.arange(20), stream=stream)
        for stream in range(counter_rng.IMAGES + 4, counter_rng.IMAGES + 7)
    ]
    for number, image in enumerate(images):
        expected = slow_colours(image, *(factor[number] for factor in factors))
        assert np.array_equal(found[number], expected)
    assert found.min() == 0.0
    assert found.max() == 255.0


def test_grey_stays_grey_and_black_stays_black():
    shades = np.broadcast_to(images_of(10)[..., :1], (10, 12, 12, 3))
    found = augmented(np.ascontiguousarray(shades), ImageAugmentationConfig(colour=0.5))
    np.testing.assert_allclose(found, found[..., :1].repeat(3, axis=3), atol=1e-3)
    black = np.zeros((4, 8, 8, 3), np.uint8)
    assert not augmented(black, EVERYTHING).any()


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4), np.uint8),
     np.zeros((2, 4, 5, 3), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)],
)  # fmt: skip
def test_other_arrays_are_rejected(images):
    with pytest.raises(ValueError, match=r"images must be uint8 \(R, S, S, 3\), got"):
        augmented(images)


def test_an_empty_batch_is_no_error():
    assert augmented(images_of(0)).shape == (0, 12, 12, 3)
    assert len(altered(sequences_of([]), crop=0.5, jitter=0.5)) == 0


def test_a_shortened_sequence_is_a_piece_of_it():
    sequences = sequences_of([20] * 400)
    found = altered(sequences, crop=0.3)
    lengths = found.lengths
    assert set(lengths.tolist()) == set(range(14, 21))
    firsts = set()
    for number, row in enumerate(rows_of(found)):
        first = int(row[0, 0]) - 20 * number
        assert 0 <= first <= 20 - len(row)
        assert row.tolist() == sequences.row(number)[first : first + len(row)].tolist()
        firsts.add((len(row), first))
    # 7 lengths with 1 to 7 places each: most are seen in 400.
    assert len(firsts) > 25


def test_at_least_one_step_stays():
    found = altered(sequences_of([1, 2, 3, 10] * 50), crop=0.9)
    lengths = found.lengths.reshape(50, 4)
    assert lengths.min(axis=0).tolist() == [1, 1, 1, 1]
    assert lengths.max(axis=0).tolist() == [1, 2, 3, 10]


def test_noise_is_in_units_of_each_feature():
    sequences = sequences_of([1000] * 20)
    found = altered(sequences, jitter=0.5)
    assert found.values.dtype == np.float32
    assert np.array_equal(found.offsets, sequences.offsets)
    noise = found.values.astype(np.float64) - sequences.values
    # The numbers go up to 20,000, where a float32 is good to 0.001.
    np.testing.assert_allclose(noise.std(axis=0), [0.5, 50.0], rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0) / [0.5, 50.0], [0, 0], atol=0.04)
    # Features, steps and sequences have independent noise.
    for one, other in [
        (noise[:, 0], noise[:, 1]),
        (noise[:-1, 0], noise[1:, 0]),
        (noise[:-1, 1], noise[1:, 0]),
        (noise[:-1000, 0], noise[1000:, 0]),
    ]:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.04


def test_drawing_noise_a_part_at_a_time_changes_nothing(monkeypatch):
    sequences = sequences_of([5, 1, 40, 17])
    whole = altered(sequences, jitter=1.0)
    monkeypatch.setattr(augmentation, "_NOISE_AT_A_TIME", 14)
    assert altered(sequences, jitter=1.0).values.tobytes() == whole.values.tobytes()
