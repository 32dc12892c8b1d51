import unicodedata
from itertools import chain

import pytest
from hypothesis import given, settings

from job.preprocessing.word_segmentation import split_words
from tests.preprocessing.reference_words import SENTENCES, slow_words, texts


@pytest.mark.parametrize(("text", "words"), SENTENCES)
def test_words_of(text, words):
    assert split_words(text) == words
    assert slow_words(text) == words


@settings(max_examples=1000)
@given(texts())
def test_words_end_where_the_rules_say(text):
    assert split_words(text) == slow_words(text)


@given(texts())
def test_nothing_but_separators_is_dropped(text):
    dropped = {"Zs", "Zl", "Zp", "Cc"}
    kept = [c for c in text if unicodedata.category(c) not in dropped and c != "\u200b"]
    assert "".join(split_words(text)) == "".join(kept)


def test_every_character_of_the_blocks_with_exceptions_is_known():
    blocks = (range(0x2000, 0x2100), range(0x3000, 0x3400), range(0xFF00, 0x10000))
    points = [*chain(*blocks), *range(0x1AFF0, 0x1B170), *range(0x1F000, 0x1FA00)]
    known = [c for c in map(chr, points) if unicodedata.category(c) != "Cn"]
    for around in ("a{}a", "\u4e2d{}\u4e2d", "#\u200d{}1"):
        for text in map(around.format, known):
            assert split_words(text) == slow_words(text), ascii(text)
