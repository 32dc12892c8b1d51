"""No-learning scores of texts against slow references of a few lines each."""

import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.evaluation.baselines import text
from job.evaluation.baselines.text import edit_similarity, ngram_cosine

# Few characters, so that pairs share some; \x00 and a lone surrogate, since both are legal.
TEXT = st.text(st.sampled_from("aab\u00e9\u4e2d\U0001f600\x00\ud800"), max_size=9)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20)


SCORES = pytest.mark.parametrize("score", [ngram_cosine, edit_similarity])


def slow_cosine(left, right):
    def bag(text):
        marked = ["start", *text, "end"]
        grams = Counter(text)
        for size in (2, 3):
            grams.update(tuple(marked[i : i + size]) for i in range(len(marked) - size + 1))
        return grams

    a, b = bag(left), bag(right)
    shared = sum(count * b[gram] for gram, count in a.items())
    squares = sum(c * c for c in a.values()) * sum(c * c for c in b.values())
    return shared / math.sqrt(squares)


def slow_edit_similarity(left, right):
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        following = [i]
        for j, b in enumerate(right, start=1):
            following.append(min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (a != b)))
        row = following
    return 1 - row[-1] / max(len(left), len(right), 1)


def columns(pairs):
    left, right = zip(*pairs, strict=True)
    return list(left), list(right)


@pytest.mark.parametrize(
    ("left", "right", "edit", "cosine"),
    [
        ("kitten", "sitting", 1 - 3 / 7, None),
        ("flaw", "lawn", 1 - 2 / 4, None),
        ("abc", "abc", 1.0, 1.0),
        ("", "", 1.0, 1.0),
        ("", "abc", 0.0, 0.0),
        ("abc", "xyz", 0.0, 0.0),
        # a | ^a a$ | ^a$ and b | ^b b$ | ^b$.
        ("a", "b", 0.0, 0.0),
        # a:1 ^a a$ ^a$ and a:2 ^a aa a$ ^aa aa$: 2 + 1 + 1 shared, lengths sqrt(4), sqrt(9).
        ("a", "aa", 0.5, 4 / 6),
        ("\u00e9", "e", 0.0, 0.0),
        ("\U0001f600\U0001f600", "\U0001f600", 0.5, 4 / 6),
    ],
)
def test_similarities_match_the_values_derived_by_hand(left, right, edit, cosine):
    assert edit_similarity([left], [right])[0] == pytest.approx(edit, abs=1e-15)
    if cosine is not None:
        assert ngram_cosine([left], [right])[0] == pytest.approx(cosine, abs=1e-15)


@given(PAIRS)
def test_edit_similarity_equals_the_textbook_table(pairs):
    found = edit_similarity(*columns(pairs))
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx(
        [slow_edit_similarity(*pair) for pair in pairs], abs=1e-15
    )


@given(PAIRS)
def test_ngram_cosine_equals_counting_by_hand(pairs):
    found = ngram_cosine(*columns(pairs))
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx([slow_cosine(*pair) for pair in pairs], abs=1e-15)


@SCORES
@given(pairs=PAIRS)
def test_scores_are_symmetric_and_stay_between_0_and_1(score, pairs):
    left, right = columns(pairs)
    found = score(left, right)
    assert np.array_equal(found, score(right, left))
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert np.array_equal(score(left, left), np.ones(len(left)))


def test_cutting_into_chunks_changes_nothing(monkeypatch):
    rng = random.Random(5)
    texts = ["".join(rng.choices("abcde", k=rng.randrange(12))) for _ in range(400)]
    left, right = texts[:200], texts[200:]
    whole = ngram_cosine(left, right)
    monkeypatch.setattr(text, "_CELLS", 64)
    assert np.array_equal(ngram_cosine(left, right), whole)


@SCORES
def test_no_pairs_give_no_scores(score):
    assert score([], []).shape == (0,)


@SCORES
def test_sides_of_different_length_are_refused(score):
    with pytest.raises(ValueError, match="left has 2 texts and right 1"):
        score(["a", "b"], ["a"])


@pytest.mark.parametrize("length", [62, 63, 64, 65, 128, 500])
def test_long_texts_are_compared_as_exactly_as_short_ones(length):
    rng = random.Random(length)
    left = ["".join(rng.choices("abc", k=length)) for _ in range(3)]
    right = [text[: rng.randrange(length)] + "b" * rng.randrange(9) + text[9:] for text in left]
    expected = [slow_edit_similarity(*pair) for pair in zip(left, right, strict=True)]
    # What is behind the 512th character does not count.
    expected[0] = slow_edit_similarity(left[0][:512], right[0][:512])
    assert edit_similarity(left[:1], right[:1])[0] == pytest.approx(expected[0], abs=1e-15)
    kept = [text[:512] for text in right]
    assert edit_similarity(left, kept).tolist() == pytest.approx(
        [slow_edit_similarity(*pair) for pair in zip(left, kept, strict=True)], abs=1e-15
    )


def test_only_the_beginning_of_a_long_text_is_edited():
    same = "ab" * 256
    assert edit_similarity([same + "x" * 10_000], [same + "yz"]).tolist() == [1.0]
    assert edit_similarity(["a" * 512], ["a" * 511 + "b"]).tolist() == [1 - 1 / 512]


def test_an_alphabet_of_tens_of_thousands_does_not_overflow():
    characters = "".join(map(chr, range(0x10000, 0x10000 + 120_000)))
    left = [characters[start : start + 3] for start in range(0, 60_000, 3)]
    right = [characters[start : start + 3] for start in range(60_000, 120_000, 3)]
    assert not ngram_cosine(left, right).any()
    assert np.array_equal(ngram_cosine(left, left), np.ones(20_000))
