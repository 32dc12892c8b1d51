import numpy as np
import pytest

from job.config.data import ImageDataConfig, WordsConfig
from job.data.dataset import ItemTable
from job.data.pipeline.collators import ImageCollator
from job.inspection import item_measures
from job.inspection.item_measures import (
    Distribution,
    FeatureMeasures,
    Furthest,
    PlainImages,
    TextMeasures,
    UnknownTokens,
    subsample,
)
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import CharacterVocabulary, build_vocabulary
from tests.inspection.datasets import images, sequences, texts
from tests.preprocessing.some_images import encoded


@pytest.fixture(params=[1, 1 << 20])
def chunk_values(request, monkeypatch):
    """Everything in one chunk, and every item in its own."""
    monkeypatch.setattr(item_measures, "_CHUNK_VALUES", request.param)


@pytest.mark.usefixtures("chunk_values")
def test_characters_words_and_scripts_of_texts():
    # One, two, three and four bytes a character; spaces and digits are no letters.
    values = texts(["a 1", "\u00e9b cd", "\u0436", "\u732b\U0001f408x", "not counted"])
    assert TextMeasures.of(values, np.arange(4)) == TextMeasures(
        lengths=Distribution.of(np.array([3, 5, 1, 3])),
        mean_words=1.5,
        num_distinct_characters=11,
        scripts={"LATIN": 6 / 8, "CYRILLIC": 1 / 8, "CJK": 1 / 8},
    )


def test_texts_without_letters_have_no_scripts():
    assert TextMeasures.of(texts(["12", "!"]), np.arange(2)).scripts == {}


def test_percentiles_are_interpolated_between_ranks():
    it = Distribution.of(np.array([5, 2, 3, 3]))
    assert (it.min, it.median, it.max) == (2, 3, 5)
    assert it.p90 == pytest.approx(3 + 0.7 * 2)


ITEMS = ItemTable("text", texts(["abba", "cab\u00e9c", "zebra", "aaa"]))


@pytest.mark.usefixtures("chunk_values")
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # `cab?c` lacks three characters, `zebra` z, e and r; `\u00e9` comes after all of ASCII.
        (
            [0, 1, 2, 3],
            UnknownTokens("characters", 17, 6, 2, 5, ("c", "e", "r", "z", "\u00e9")),
        ),
        ([3, 0], UnknownTokens("characters", 7, 0, 0, 0, ())),
    ],
)
def test_what_the_vocabulary_lacks_is_counted_and_named_by_frequency(rows, expected):
    found = UnknownTokens.of(ITEMS, np.array(rows), vocabulary=CharacterVocabulary("ab"))
    assert found == expected


def test_only_the_commonest_unknown_tokens_are_kept():
    items = ItemTable("text", texts(["zabcdefghijklmnopqrstuvwxyz"]))
    it = UnknownTokens.of(items, np.array([0]), vocabulary=CharacterVocabulary("0"))
    assert (it.num_distinct, it.share) == (26, 1.0)
    assert "".join(it.commonest) == "zabcdefghijklmnopqrs"


def test_unknown_words_are_those_of_the_vocabulary():
    items = ItemTable("text", texts(["Don't pay 3.14!", "pay pay Don't", "do not pay 2.71!"]))
    words = build_vocabulary(WordsConfig(), items=items.values, rows=np.array([0, 1]))
    # Known, because they occur twice in the first two: Don't, pay.
    found = UnknownTokens.of(items, np.arange(3), vocabulary=words)
    expected = UnknownTokens("words", 12, 6, 2, 5, ("!", "2.71", "3.14", "do", "not"))
    assert found == expected


def measured(values, **rows) -> FeatureMeasures:
    rows = {split: np.array(chosen) for split, chosen in rows.items()}
    return FeatureMeasures.of(values, rows, stats=FeatureStats.of(values, rows["train"]))


@pytest.mark.usefixtures("chunk_values")
def test_constant_features_and_the_furthest_values_of_sequences():
    # Feature 0 has mean 2 and deviation 1 over the two training sequences; feature 1 is 5
    # throughout, feature 2 is 0 in training only, so its 8 is not counted.
    values = sequences(
        [
            np.array([[1, 5, 0], [3, 5, 0]]),
            np.array([[1, 5, 0], [3, 5, 0]]),
            np.array([[2, 5, 0], [-7, 5, 8]]),
            np.array([[6, 5, 0]]),
        ]
    )
    assert measured(values, train=[0, 1], validation=[2], test=[3]) == FeatureMeasures(
        num_features=3,
        constant=(1, 2),
        num_constant_elsewhere=1,
        furthest={
            "train": Furthest(1.0, 0, 1.0),
            "validation": Furthest(-7.0, 0, 9.0),
            "test": Furthest(6.0, 0, 4.0),
        },
    )


def test_a_feature_counts_in_its_own_deviations():
    values = sequences([np.array([[0, 0], [2000, 2]]), np.array([[4000, 11]])])
    # 3000 is 3 deviations of the first, 10 is 10 of the second.
    assert measured(values, train=[0], test=[1]).furthest["test"] == Furthest(11.0, 1, 10.0)


def test_a_constant_that_is_another_one_elsewhere_has_changed():
    values = sequences([np.full((2, 1), 4.0), np.full((2, 1), 9.0)])
    it = measured(values, train=[0], validation=[1])
    assert (it.num_constant_elsewhere, it.furthest) == (1, {})


def test_images_of_a_single_colour_are_counted_in_pixels_and_in_files():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    pixels[1] = [10, 20, 30]  # one colour, though not grey
    pixels[2] = 0
    pixels[3] = 0
    pixels[3, 7, 7, 2] = 1  # a single value differs
    section = ImageDataConfig(kind="image", train="t.npz", size=8)
    decoded = ImageCollator(images(pixels), section)
    files = ImageCollator(RaggedArray.from_bytes([encoded(one) for one in pixels]), section)
    for collator in (decoded, files):
        assert PlainImages.of(collator, np.array([0, 1, 2, 3])) == PlainImages(2, 4)


def test_a_subsample_is_the_same_every_time_and_all_where_there_are_few():
    rows = np.arange(1000)
    assert subsample(rows, 1000) is rows
    chosen = subsample(rows, 100)
    assert len(chosen) == 100
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, subsample(rows, 100))
    # Not every tenth: labels that alternate would all be the same.
    assert 30 < np.count_nonzero(chosen % 2) < 70
