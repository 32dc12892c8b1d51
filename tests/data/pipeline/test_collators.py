"""Each kind of item as an encoder takes it, varied only when that is asked for."""

from pathlib import Path

import numpy as np
import pytest

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.config.data import ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import Dataset, ItemTable
from job.data.pipeline import collators
from job.data.pipeline.collators import (
    AugmentationSeed,
    ImageCollator,
    SequenceCollator,
    TextCollator,
    collator_for,
    padded,
)
from job.data.quarantine import NOTHING_QUARANTINED
from job.preprocessing import ragged
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import CharacterVocabulary, Vocabulary, WordVocabulary
from job.types import ItemInput
from tests.preprocessing.some_images import one_colour

STEPS = np.arange(12, dtype=np.float32).reshape(6, 2)
SEQUENCES = RaggedArray(STEPS, offsets_of(np.array([1, 3, 2])))
MOMENTS = FeatureStats((5.0, 6.0), (2.0, 3.0))
COLOURS = [(10, 20, 30), (200, 0, 5)]


def variation(*index: int, epoch: int = 0) -> AugmentationSeed:
    return AugmentationSeed(seed=1, epoch=epoch, index=np.array(index))


def decoded() -> RaggedArray:
    pixels = np.empty((2, 8, 8, 3), np.uint8)
    pixels[:] = np.array(COLOURS)[:, None, None]
    return RaggedArray(pixels.reshape(16, 8, 3), np.array([0, 8, 16]))


def encoded() -> RaggedArray:
    return RaggedArray.from_bytes([one_colour((20, 20), colour) for colour in COLOURS])


def dataset(items: ItemTable, statistics) -> Dataset:
    return Dataset(items, {}, None, statistics, {}, NOTHING_QUARANTINED, "")


def test_texts_become_ids_padded_with_zero():
    feed = TextCollator(
        RaggedArray.from_bytes([b"ab", b"c", b"abcab"]), CharacterVocabulary("ab")
    )
    ids = feed.batch(np.array([1, 2, 1]))
    assert ids.dtype == np.int32
    assert ids.tolist() == [[1, 0, 0, 0, 0], [2, 3, 1, 2, 3], [1, 0, 0, 0, 0]]
    assert feed.input == ItemInput("text", "int32", (None,), vocabulary_size=4)
    assert feed.lengths_of(np.array([2, 0])).tolist() == [5, 2]


def test_sequences_are_padded_with_steps_that_are_no_numbers():
    feed = SequenceCollator(SEQUENCES, MOMENTS)
    steps = feed.batch(np.array([1, 0]))
    assert steps.shape == (2, 3, 2)
    assert steps.dtype == np.float32
    np.testing.assert_array_equal(steps[0, :3], STEPS[1:4])
    np.testing.assert_array_equal(steps[1, :1], STEPS[:1])
    assert np.isnan(steps[0, 3:]).all()
    assert np.isnan(steps[1, 1:]).all()
    assert feed.input == ItemInput(
        "sequence", "float32", (None, 2), mean=(5.0, 6.0), std=(2.0, 3.0)
    )


@pytest.mark.parametrize("images", [decoded(), encoded()], ids=["decoded", "encoded"])
def test_images_are_numbers_from_0_to_255(images):
    feed = ImageCollator(images, ImageDataConfig(train="x", size=8))
    batch = feed.batch(np.array([1, 0, 1]))
    assert batch.shape == (3, 8, 8, 3)
    assert batch.dtype == np.float32
    for image, colour in zip(batch, (COLOURS[1], COLOURS[0], COLOURS[1]), strict=True):
        assert (image == np.float32(colour)).all()
    assert feed.input == ItemInput("image", "float32", (8, 8, 3))
    assert feed.lengths_of(np.array([0, 1])).tolist() == [8, 8]


def test_the_length_of_a_text_is_its_tokens():
    texts = RaggedArray.from_bytes(["\u732b\u3068 dog".encode(), b"", b"a-b"])
    words = TextCollator(texts, WordVocabulary(("dog",)))
    assert words.lengths_of(np.array([2, 0, 1])).tolist() == [3, 3, 1]
    characters = TextCollator(texts, CharacterVocabulary("dgo"))
    assert characters.lengths_of(np.array([2, 0, 1])).tolist() == [3, 6, 1]


def text_collator(vocabulary: Vocabulary, *, texts: RaggedArray | None = None) -> TextCollator:
    return TextCollator(texts or RaggedArray.from_bytes([b"ab", b"", b"abcab"]), vocabulary)


def mapped(items: RaggedArray, folder: Path) -> RaggedArray:
    np.save(folder / "values.npy", items.values)
    return RaggedArray(np.load(folder / "values.npy", mmap_mode="r"), items.offsets)


def test_texts_are_tokenised_once(monkeypatch):
    collator = text_collator(CharacterVocabulary("ab"))
    first = collator.ragged(np.array([2]))

    def refuse(self, items):
        raise AssertionError("tokenised again")

    monkeypatch.setattr(CharacterVocabulary, "encode", refuse)
    assert np.array_equal(collator.ragged(np.array([2])).values, first.values)
    assert collator.batch(np.array([1, 0])).tolist() == [[1, 0], [2, 3]]
    assert collator.lengths_of(np.array([0, 1, 2])).tolist() == [2, 1, 5]


def test_many_mapped_texts_are_tokenised_in_each_batch(monkeypatch, tmp_path):
    kept = text_collator(CharacterVocabulary("ab"))
    texts = mapped(kept.texts, tmp_path)
    assert text_collator(CharacterVocabulary("ab"), texts=texts).items() is not None
    monkeypatch.setattr(collators, "_MOST_MAPPED_BYTES", len(texts.values) - 1)
    read = text_collator(CharacterVocabulary("ab"), texts=texts)
    assert read.items() is None
    rows = np.array([2, 1, 2, 0])
    assert np.array_equal(read.lengths_of(rows), kept.lengths_of(rows))
    one, other = read.ragged(rows), kept.ragged(rows)
    assert one.values.dtype == other.values.dtype
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(read.batch(rows), kept.batch(rows))


def test_lengths_of_many_mapped_texts_are_taken_a_few_at_a_time(monkeypatch, tmp_path):
    texts = mapped(RaggedArray.from_bytes([b"ab" * 20] * 50), tmp_path)
    monkeypatch.setattr(collators, "_MOST_MAPPED_BYTES", 0)
    monkeypatch.setattr(ragged, "CHUNK_VALUES", 100)
    encode, sizes = CharacterVocabulary.encode, []

    def watched(self, some):
        sizes.append(len(some.values))
        return encode(self, some)

    monkeypatch.setattr(CharacterVocabulary, "encode", watched)
    collator = text_collator(CharacterVocabulary("ab"), texts=texts)
    assert collator.lengths_of(np.arange(50)).tolist() == [40] * 50
    assert sum(sizes) == 2000
    assert max(sizes) <= 120


@pytest.mark.parametrize(("size", "dtype"), [(65_536, np.uint16), (65_537, np.int32)])
def test_token_ids_take_two_bytes_where_they_fit(size, dtype):
    words = WordVocabulary(tuple(f"w{number}" for number in range(size - 2)))
    last = f"w{size - 3}".encode()
    ids = text_collator(words, texts=RaggedArray.from_bytes([last])).ragged(np.array([0]))
    assert ids.values.dtype == dtype
    assert ids.values.tolist() == [size - 1]


@pytest.mark.parametrize(
    ("collator", "dtype"),
    [
        (text_collator(CharacterVocabulary("ab")), np.uint16),
        (SequenceCollator(SEQUENCES, MOMENTS), np.float32),
        (ImageCollator(decoded(), ImageDataConfig(train="x", size=8)), np.uint8),
        (ImageCollator(encoded(), ImageDataConfig(train="x", size=8)), np.uint8),
    ],
    ids=["text", "sequence", "decoded", "encoded"],
)
def test_ragged_items_are_those_of_a_padded_batch_in_a_smaller_type(collator, dtype):
    rows = np.array([1, 0, 1])
    ragged = collator.ragged(rows)
    assert ragged.values.dtype == dtype
    assert np.array_equal(ragged.lengths, collator.lengths_of(rows))
    batch = collator.batch(rows)
    assert batch.dtype == collator.input.dtype
    np.testing.assert_array_equal(padded(ragged, item=collator.input), batch)


def test_items_are_given_as_a_whole_unless_a_batch_changes_or_decodes_them():
    flip = ImageAugmentationConfig(flip=True)
    section = ImageDataConfig(train="x", size=8)
    for collator in (
        text_collator(CharacterVocabulary("ab")),
        SequenceCollator(SEQUENCES, MOMENTS),
        ImageCollator(decoded(), section),
    ):
        rows = np.array([1, 0])
        chosen, expected = collator.items().take(rows), collator.ragged(rows)
        assert chosen.values.dtype == expected.values.dtype
        assert np.array_equal(chosen.values, expected.values)
        assert np.array_equal(chosen.offsets, expected.offsets)
    for collator in (
        varied_sequences(),
        ImageCollator(encoded(), section),
        ImageCollator(decoded(), section.model_copy(update={"augmentation": flip})),
    ):
        assert collator.items() is None


def test_only_what_is_configured_is_varied():
    rows = np.array([1, 2])
    plain = SequenceCollator(SEQUENCES, MOMENTS)
    np.testing.assert_array_equal(
        plain.batch(rows), plain.batch(rows, variation=variation(0, 1))
    )
    images = ImageCollator(decoded(), ImageDataConfig(train="x", size=8))
    rows = np.array([0, 1])
    np.testing.assert_array_equal(
        images.batch(rows), images.batch(rows, variation=variation(0, 1))
    )


def varied_sequences() -> SequenceCollator:
    return SequenceCollator(SEQUENCES, MOMENTS, SequenceAugmentationConfig(jitter=0.5))


def varied_images() -> ImageCollator:
    colour = ImageAugmentationConfig(colour=0.5)
    return ImageCollator(decoded(), ImageDataConfig(train="x", size=8, augmentation=colour))


@pytest.mark.parametrize("feed", [varied_sequences(), varied_images()])
def test_an_item_is_varied_by_seed_epoch_and_index_alone(feed):
    alone = feed.batch(np.array([1]), variation=variation(7))[0]
    among = feed.batch(np.array([0, 1, 0]), variation=variation(3, 7, 9))[1]
    np.testing.assert_array_equal(alone, among)
    for other in (variation(8), variation(7, epoch=1)):
        assert not np.array_equal(
            alone, feed.batch(np.array([1]), variation=other)[0], equal_nan=True
        )
    assert not np.array_equal(alone, feed.batch(np.array([1]))[0], equal_nan=True)


def test_jitter_is_measured_in_deviations_of_each_feature():
    steps = np.zeros((4000, 2), np.float32)
    sequences = RaggedArray(steps, np.array([0, 4000]))
    feed = SequenceCollator(sequences, MOMENTS, SequenceAugmentationConfig(jitter=0.5))
    noise = feed.batch(np.array([0]), variation=variation(0))[0]
    np.testing.assert_allclose(noise.std(axis=0), [0.5 * 2.0, 0.5 * 3.0], rtol=0.05)


def test_each_kind_of_data_has_its_feed():
    text = dataset(ItemTable("text", RaggedArray.from_bytes([b"a"])), CharacterVocabulary("a"))
    assert isinstance(collator_for(text, TextDataConfig(train="x")), TextCollator)
    sequence = dataset(ItemTable("sequence", SEQUENCES), MOMENTS)
    assert isinstance(collator_for(sequence, SequenceDataConfig(train="x")), SequenceCollator)
    image = dataset(ItemTable("decoded", decoded()), None)
    assert isinstance(collator_for(image, ImageDataConfig(train="x", size=8)), ImageCollator)


def test_items_without_their_statistics_have_no_feed():
    with pytest.raises(ValueError, match="of kind text do not have None"):
        collator_for(
            dataset(ItemTable("text", RaggedArray.from_bytes([b"a"])), None),
            TextDataConfig(train="x"),
        )
