import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.data.ragged import RaggedArray
from job.data.vocabulary import Vocabulary
from job.errors import DataError


def items_of(*texts: str) -> RaggedArray:
    return RaggedArray.from_bytes([text.encode() for text in texts])


def test_characters_are_numbered_from_two_by_code_point():
    vocabulary = Vocabulary.from_texts(["ba", "\u00e9a", "\U0001f600"])
    assert vocabulary.characters == "ab\u00e9\U0001f600"
    assert vocabulary.size == 6
    ids = vocabulary.encode(items_of("ab", "", "z\U0001f600\u00e9", "b"))
    assert ids.values.dtype == np.int32
    assert [ids.row(i).tolist() for i in range(4)] == [[2, 3], [], [1, 5, 4], [3]]


def test_the_order_of_texts_does_not_matter():
    assert Vocabulary.from_texts(["xy", "ab"]) == Vocabulary.from_texts(["b", "yax"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.text("ab\u00e9\u4e2d"))
def test_encoding_agrees_with_a_loop_over_characters(texts, known):
    vocabulary = Vocabulary.from_texts([known])
    number = {c: i for i, c in enumerate(sorted(set(known)), start=2)}
    ids = vocabulary.encode(items_of(*texts))
    assert len(ids) == len(texts)
    for row, text in enumerate(texts):
        assert ids.row(row).tolist() == [number.get(c, 1) for c in text]


def test_without_texts_everything_is_unknown():
    vocabulary = Vocabulary.from_texts([])
    assert vocabulary.size == 2
    assert vocabulary.encode(items_of("ab")).values.tolist() == [1, 1]


def test_it_survives_json():
    vocabulary = Vocabulary.from_texts(["a\"\\\u00e9\U0001f600 '"])
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "words", "characters": "ab"},
        {"kind": "characters"},
        {"kind": "characters", "characters": ["a", "b"]},
        {"kind": "characters", "characters": "ba"},
        {"kind": "characters", "characters": "aa"},
    ],
)
def test_another_record_is_refused(record):
    with pytest.raises(DataError, match=r"vocabulary: .* is not what was written"):
        Vocabulary.from_json(record)
