import csv
import gzip
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from job.config.data import CharactersConfig, WordsConfig
from job.export.tokenizers import TokenIds
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import CharacterVocabulary, WordVocabulary, build_vocabulary
from tests.prepared import require_prepared
from tests.preprocessing.reference_words import SENTENCES, texts

SECTIONS = pytest.mark.parametrize("section", [CharactersConfig(), WordsConfig(min_count=1)])
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"


def in_graph(vocabulary, data):
    return TokenIds(vocabulary)(tf.constant(data, tf.string)).numpy()


def assert_graph_agrees(section, texts):
    """The graph gives every text the IDs that training gives it, all tokens being known."""
    items = RaggedArray.from_bytes([text.encode() for text in texts])
    vocabulary = build_vocabulary(section, items=items, rows=np.arange(len(items)))
    ids = in_graph(vocabulary, [text.encode() for text in texts])
    assert ids.dtype == np.int32
    expected = vocabulary.encode(items).padded(np.arange(len(items)))
    assert np.array_equal(ids, expected)


@SECTIONS
@given(some=st.lists(texts()))
def test_the_graph_gives_the_ids_of_training(section, some):
    assert_graph_agrees(section, ["a", *some])


@SECTIONS
def test_the_graph_agrees_on_hard_sentences(section):
    assert_graph_agrees(section, [text for text, _ in SENTENCES])


def test_the_graph_agrees_on_every_character_of_the_first_plane():
    known = [c for c in map(chr, range(0xD800)) if unicodedata.category(c) not in ("Cn", "Co")]
    assert_graph_agrees(WordsConfig(min_count=1), [f"a{c}a 1{c}1 #\u200d{c}" for c in known])


@SECTIONS
@pytest.mark.parametrize("name", ["typos", "verses"])
def test_the_graph_agrees_on_the_examples(section, name):
    path = EXAMPLES / name / "train.csv.gz"
    require_prepared(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))[:5000]
    assert_graph_agrees(section, [text for row in rows for text in row])


@pytest.mark.parametrize(
    "vocabulary", [CharacterVocabulary("a"), WordVocabulary(("a",))], ids=lambda v: v.kind
)
def test_tokens_out_of_the_vocabulary_are_unknown(vocabulary):
    assert in_graph(vocabulary, ["", "a", "b"]).tolist() == [[1], [2], [1]]
    assert in_graph(vocabulary, [""]).tolist() == [[1]]
    assert in_graph(vocabulary, []).shape[0] == 0


def test_bytes_that_are_not_utf_8_become_replacement_characters():
    characters = CharacterVocabulary("ab\ufffd")
    assert in_graph(characters, [b"a\xffb"]).tolist() == [[2, 4, 3]]
    words = WordVocabulary(("a", "b", "\ufffd"))
    assert in_graph(words, [b"a\xffb"]).tolist() == [[2, 4, 3]]


def test_a_vocabulary_may_have_fifty_thousand_words():
    vocabulary = WordVocabulary(tuple(f"w{number}" for number in range(50_000)))
    assert in_graph(vocabulary, ["w0 w49999 w50000"]).tolist() == [[2, 50_001, 1]]
