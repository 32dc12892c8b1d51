import json
import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.config.data import CharactersConfig, WordsConfig
from job.errors import DataError
from job.preprocessing import ragged
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import (
    CharacterVocabulary,
    Vocabulary,
    WordVocabulary,
    build_vocabulary,
    encode_all,
    vocabulary_from_json,
)
from tests.preprocessing.reference_words import slow_words, texts

CHARACTERS = CharactersConfig()


def items_of(*texts: str) -> RaggedArray:
    return RaggedArray.from_bytes([text.encode() for text in texts])


def built(section, *texts):
    return build_vocabulary(section, items=items_of(*texts), rows=np.arange(len(texts)))


def ids_of(vocabulary, *texts):
    ids = vocabulary.encode(items_of(*texts))
    assert ids.values.dtype == np.int32
    assert len(ids) == len(texts)
    return [ids.row(row).tolist() for row in range(len(ids))]


def test_characters_are_numbered_from_two_by_code_point():
    vocabulary = built(CHARACTERS, "ba", "\u00e9a", "\U0001f600")
    assert vocabulary.tokens == "ab\u00e9\U0001f600"
    assert (vocabulary.kind, vocabulary.size) == ("characters", 6)
    assert ids_of(vocabulary, "ab", "z\U0001f600\u00e9", "b") == [[2, 3], [1, 5, 4], [3]]


def test_the_order_of_texts_does_not_matter_to_characters():
    assert built(CHARACTERS, "xy", "ab") == built(CHARACTERS, "b", "yax")


@given(st.lists(texts()), st.text("ab\u00e9\u4e2d\U0001f600"))
def test_encoding_agrees_with_a_loop_over_characters(texts, known):
    vocabulary = built(CHARACTERS, known)
    number = {c: i for i, c in enumerate(sorted(set(known)), start=2)}
    expected = [[number.get(c, 1) for c in text] or [1] for text in texts]
    assert ids_of(vocabulary, *texts) == expected


def test_without_texts_every_character_is_unknown():
    vocabulary = built(CHARACTERS)
    assert vocabulary.size == 2
    assert ids_of(vocabulary, "ab") == [[1, 1]]


def test_words_are_numbered_from_two_the_commonest_first_and_ties_by_code_point():
    vocabulary = built(WordsConfig(min_count=1), "b \u00e9 a, b", "b Z, \u4e2d\u4e2d")
    # b 3 times; the comma and the Han character twice; the others once.
    assert vocabulary.tokens == ("b", ",", "\u4e2d", "Z", "a", "\u00e9")
    assert (vocabulary.kind, vocabulary.size) == ("words", 8)
    assert ids_of(vocabulary, "a b c", "\u4e2d,") == [[6, 2, 1], [4, 3]]


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({"min_count": 1}, ("a", "b", "c", "d")),
        ({}, ("a", "b", "c")),
        ({"min_count": 3}, ("a", "b")),
        ({"max_vocabulary": 1}, ("a",)),
        ({"max_vocabulary": 3, "min_count": 1}, ("a", "b", "c")),
    ],
)
def test_rare_words_are_unknown(options, tokens):
    assert built(WordsConfig(**options), "a a a a", "b b b c", "c d").tokens == tokens


@pytest.mark.parametrize(
    ("texts", "most", "at_most"), [(("a b", "b"), 2, 2), (("",), 0, 1), ((), 0, 1)]
)
def test_a_vocabulary_without_words_is_rejected(texts, most, at_most):
    with pytest.raises(DataError) as caught:
        built(WordsConfig(min_count=3), *texts)
    message = str(caught.value)
    assert message.startswith("data.tokens.min_count: no word occurs 3 times")
    assert f"occurs {most} times" in message
    assert f"at most {at_most}," in message


@given(st.lists(texts(), min_size=1), st.integers(1, 2), st.integers(1, 5))
def test_words_agree_with_a_slow_count(texts, least, most):
    counts = Counter(word for text in texts for word in slow_words(text))
    known = [word for word in sorted(counts, key=lambda w: (-counts[w], w))]
    known = [word for word in known if counts[word] >= least][:most]
    if not known:
        return
    vocabulary = built(WordsConfig(min_count=least, max_vocabulary=most), *texts)
    assert list(vocabulary.tokens) == known
    number = {word: i for i, word in enumerate(known, start=2)}
    expected = [[number.get(word, 1) for word in slow_words(text)] or [1] for text in texts]
    assert ids_of(vocabulary, *texts) == expected


@pytest.mark.parametrize(
    "vocabulary", [CharacterVocabulary("a"), WordVocabulary(("a",))], ids=lambda v: v.kind
)
def test_every_item_has_a_token(vocabulary):
    assert ids_of(vocabulary, "", "a", "", "") == [[1], [2], [1], [1]]
    assert vocabulary.cut("") == [""]
    assert isinstance(vocabulary, Vocabulary)


def test_a_text_of_separators_is_one_unknown_word():
    vocabulary = WordVocabulary(("a",))
    assert ids_of(vocabulary, " \u200b") == [[1]]
    assert vocabulary.cut(" \u200b") == [" \u200b"]


@given(texts())
def test_cutting_gives_a_token_for_each_id(text):
    for vocabulary in (CharacterVocabulary("a"), WordVocabulary(("a", "3.14"))):
        tokens = vocabulary.cut(text)
        known = {token: i for i, token in enumerate(vocabulary.tokens, start=2)}
        assert [known.get(token, 1) for token in tokens] == ids_of(vocabulary, text)[0]


@pytest.mark.parametrize("section", [CHARACTERS, WordsConfig(min_count=1)])
def test_only_the_given_rows_are_counted_in_chunks(section, monkeypatch):
    monkeypatch.setattr(ragged, "CHUNK_VALUES", 4)
    items = items_of("a", "b", "x", "cccccccccc", "d", "e")
    taken = []
    take = RaggedArray.take

    def listening(self, rows):
        if self is items:
            taken.append(rows.tolist())
        return take(self, rows)

    monkeypatch.setattr(RaggedArray, "take", listening)
    vocabulary = build_vocabulary(section, items=items, rows=np.array([0, 1, 3, 4]))
    assert set("abd") <= set(vocabulary.tokens)
    assert "x" not in vocabulary.tokens
    # Bytes so far: 1, 2, 12, 13; a chunk ends where they pass a multiple of 4.
    assert taken == [[0, 1], [3, 4]]


@pytest.mark.parametrize(
    "vocabulary", [CharacterVocabulary("ab"), WordVocabulary(("a", "b"))], ids=lambda v: v.kind
)
@pytest.mark.parametrize("num_bytes", [1, 4, 1000])
def test_all_items_are_encoded_in_chunks_as_by_one_call(vocabulary, num_bytes, monkeypatch):
    monkeypatch.setattr(ragged, "CHUNK_VALUES", num_bytes)
    items = items_of("a", "b a", "", "a\nb", "c" * 9, "\u4e2db")
    found, expected = encode_all(vocabulary, items), vocabulary.encode(items)
    assert found.values.dtype == np.uint16
    assert found.values.tolist() == expected.values.tolist()
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert len(encode_all(vocabulary, items_of())) == 0


@pytest.mark.parametrize(
    "vocabulary",
    [
        CharacterVocabulary(""),
        CharacterVocabulary("\"'\\a\u00e9\U0001f600"),
        WordVocabulary(("don't", '"', "\u4e2d", "\U0001f600")),
    ],
    ids=["empty", "characters", "words"],
)
def test_it_survives_json(vocabulary):
    record = json.loads(json.dumps(vocabulary.to_json()))
    assert record["tokens"] == list(vocabulary.tokens)
    assert vocabulary_from_json(record) == vocabulary


def test_words_of_another_regex_version_are_warned_about(caplog):
    record = WordVocabulary(("a",)).to_json() | {"regex_version": "3.2.0"}
    with caplog.at_level(logging.WARNING):
        read = vocabulary_from_json(record)
    assert read == WordVocabulary(("a",), "3.2.0")
    [warning] = caplog.records
    assert warning.message == "words split by another release of regex"
    assert warning.vocabulary == "3.2.0"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"tokens": ["a"]},
        {"kind": "syllables", "tokens": ["a"]},
        {"kind": ["words"], "tokens": ["a"]},
        {"kind": "characters"},
        {"kind": "characters", "tokens": "ab"},
        {"kind": "characters", "tokens": ["b", "a"]},
        {"kind": "characters", "tokens": ["a", "a"]},
        {"kind": "characters", "tokens": ["ab"]},
        {"kind": "characters", "tokens": ["a", 1]},
        {"kind": "words", "tokens": ["a"]},
        {"kind": "words", "tokens": ["a", "a"], "regex_version": "14.0.0"},
        {"kind": "words", "tokens": [""], "regex_version": "14.0.0"},
    ],
)
def test_another_record_is_rejected(record):
    with pytest.raises(DataError, match="is not a vocabulary of this release"):
        vocabulary_from_json(record)
