import numpy as np
import pytest

from job.config.data import WordsConfig
from job.data.dataset import ItemTable
from job.inspection.texts import UnknownTokens, characters_of, code_points, unknown_tokens
from job.preprocessing.vocabulary import CharacterVocabulary, build_vocabulary
from tests.inspection.datasets import texts

# One, two, three and four bytes a character.
MIXED = ["a", "\u00e9b", "", "\u732b\U0001f408x"]


def test_texts_as_numbers_keep_their_rows():
    points = code_points(texts(MIXED))
    assert points.lengths.tolist() == [1, 2, 0, 3]
    assert points.row(1).tolist() == [0xE9, ord("b")]
    assert points.row(3).tolist() == [0x732B, 0x1F408, ord("x")]


def test_length_is_in_characters():
    assert characters_of(texts(MIXED), np.array([3, 1])).tolist() == [3, 2]
    assert characters_of(texts(MIXED), np.array([], np.int64)).tolist() == []


@pytest.fixture
def items():
    return ItemTable("text", texts(["abba", "cab\u00e9c", "zebra", "aaa"]))


def unknown(items, rows, *, characters="ab"):
    vocabulary = CharacterVocabulary(characters)
    return unknown_tokens(items, np.array(rows), vocabulary=vocabulary)


def test_what_the_vocabulary_lacks_is_counted_and_named_by_frequency(items):
    # Of `cab?c` three characters, of `zebra` z, e and r; `\u00e9` comes after all of ASCII.
    assert unknown(items, [0, 1, 2, 3]) == UnknownTokens(
        kind="characters",
        num_tokens=17,
        num_unknown=6,
        num_items=2,
        num_distinct=5,
        commonest=("c", "e", "r", "z", "\u00e9"),
    )


def test_only_the_rows_asked_for_count(items):
    it = unknown(items, [3, 0])
    assert (it.num_tokens, it.num_unknown, it.num_distinct, it.share) == (7, 0, 0, 0.0)
    assert unknown(items, [2]).share == 0.6


def test_only_the_commonest_are_kept():
    items = ItemTable("text", texts(["zabcdefghijklmnopqrstuvwxyz"]))
    it = unknown(items, [0], characters="0")
    assert it.num_distinct == 26
    assert "".join(it.commonest) == "zabcdefghijklmnopqrs"


def test_texts_in_parts_are_texts_at_once(items, monkeypatch):
    whole = unknown(items, [0, 1, 2])
    monkeypatch.setattr("job.inspection.chunking._CELLS", 1)
    assert unknown(items, [0, 1, 2]) == whole


def test_words_are_those_of_the_vocabulary():
    items = ItemTable("text", texts(["Don't pay 3.14!", "pay pay Don't", "do not pay 2.71!"]))
    words = build_vocabulary(WordsConfig(), items=items.values, rows=np.array([0, 1]))
    # Known, because they occur twice in the first two: Don't, pay.
    it = unknown_tokens(items, np.arange(3), vocabulary=words)
    assert it == UnknownTokens(
        kind="words",
        num_tokens=12,
        num_unknown=6,
        num_items=2,
        num_distinct=5,
        commonest=("!", "2.71", "3.14", "do", "not"),
    )
