"""The words of many texts at once are those of each alone."""

import unicodedata
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.preprocessing import many_texts
from job.preprocessing.many_texts import code_points, words_of
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.word_segmentation import split_words
from tests.preprocessing.reference_words import SENTENCES, texts


def words_together(*texts: str) -> list[list[str]]:
    words = words_of(RaggedArray.from_bytes([text.encode() for text in texts]))
    assert len(set(words.distinct)) == len(words.distinct)
    used = np.unique(words.numbers.values)
    assert used.tolist() == list(range(len(words.distinct)))
    return [
        [words.distinct[number] for number in words.numbers.row(row).tolist()]
        for row in range(len(words.numbers))
    ]


def test_words_of_sentences():
    expected = [words for _, words in SENTENCES]
    assert words_together(*(text for text, _ in SENTENCES)) == expected


@given(st.lists(texts(), max_size=5))
def test_words_of_many_texts_are_those_of_each(texts):
    assert words_together(*texts) == [split_words(text) for text in texts]


def test_every_character_is_split_from_its_neighbours_as_in_one_text():
    blocks = (range(0x2000, 0x2100), range(0x3000, 0x3400), range(0xFF00, 0x10000))
    points = [*range(0x20, 0x700), *chain(*blocks), *range(0x1F000, 0x1FA00)]
    known = [c for c in map(chr, points) if unicodedata.category(c) != "Cn"]
    arounds = ("a{}a", "1{}1", "\u4e2d{}\u4e2d", "#\u200d{}1", "!{}\u0301", "{}\u200d!")
    some = [around.format(c) for around in arounds for c in known]
    assert words_together(*some) == [split_words(text) for text in some]


@pytest.mark.parametrize("rows", [[], [""], ["", " ", ""]])
def test_texts_without_words(rows):
    assert words_together(*rows) == [[] for _ in rows]
    assert words_together(*rows, "a b", *rows) == [
        *([] for _ in rows),
        ["a", "b"],
        *([] for _ in rows),
    ]


def test_a_piece_of_a_text_is_split_once(monkeypatch):
    split = []
    monkeypatch.setattr(
        many_texts, "split_words", lambda text: split.append(text) or split_words(text)
    )
    found = words_together("don't, don't", "\u4e2d\u4e2dx don't,", "\u4e2d!")
    assert found == [
        ["don't", ",", "don't"],
        ["\u4e2d", "\u4e2d", "x", "don't", ","],
        ["\u4e2d", "!"],
    ]
    assert split == ["don't,", "don't"]


def test_code_points_are_those_of_each_text():
    some = ["a\u00e9", "", "\U0001f600\u4e2d"]
    points = code_points(RaggedArray.from_bytes([text.encode() for text in some]))
    assert points.values.dtype == np.uint32
    assert [points.row(row).tolist() for row in range(3)] == [list(map(ord, t)) for t in some]
