import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from job.config.data import CharactersConfig, WordsConfig
from job.export.tokenizers import TOKENIZERS
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import CharacterVocabulary, WordVocabulary, build_vocabulary
from tests.preprocessing.reference_words import texts


def in_python(vocabulary, items):
    return vocabulary.encode(items).padded(np.arange(len(items)), multiple=1)


def in_graph(vocabulary, data):
    return TOKENIZERS[vocabulary.kind](vocabulary)(tf.constant(data, tf.string)).numpy()


@pytest.mark.parametrize("section", [CharactersConfig(), WordsConfig(min_count=1)])
@given(known=st.lists(texts()), other=st.lists(texts(), min_size=1))
def test_the_graph_numbers_every_text_as_training_does(section, known, other):
    data = [text.encode() for text in ["a", *known, *other]]
    items = RaggedArray.from_bytes(data)
    vocabulary = build_vocabulary(section, items=items, rows=np.arange(len(known) + 1))
    ids = in_graph(vocabulary, data)
    assert ids.dtype == np.int32
    assert np.array_equal(ids, in_python(vocabulary, items))


@pytest.mark.parametrize(
    "vocabulary", [CharacterVocabulary("a"), WordVocabulary(("a",))], ids=lambda v: v.kind
)
def test_a_text_without_a_token_is_one_unknown_token(vocabulary):
    assert in_graph(vocabulary, ["", "a", ""]).tolist() == [[1], [2], [1]]
    assert in_graph(vocabulary, [""]).tolist() == [[1]]
    assert in_graph(vocabulary, []).shape[0] == 0


def test_bytes_that_are_no_utf_8_are_replacement_characters():
    characters = CharacterVocabulary("ab\ufffd")
    assert in_graph(characters, [b"a\xffb"]).tolist() == [[2, 4, 3]]
    words = WordVocabulary(("a", "b", "\ufffd"))
    assert in_graph(words, [b"a\xffb"]).tolist() == [[2, 4, 3]]


def test_a_vocabulary_may_be_as_large_as_the_words_of_a_language():
    vocabulary = WordVocabulary(tuple(f"w{number}" for number in range(50_000)))
    assert in_graph(vocabulary, ["w0 w49999 w50000"]).tolist() == [[2, 50_001, 1]]
