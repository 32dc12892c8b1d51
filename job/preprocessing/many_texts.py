"""Splits many texts at a time, most of the work in NumPy. C characters of all texts.

`word_segmentation` defines what a word is. Its expression needs half a microsecond a word, and
most words are repeated or are one character between two ends. Here it sees every other piece of
a text once::

    words = words_of(texts)
    [words.distinct[number] for number in words.numbers.row(0)]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import regex
from numpy.typing import NDArray

from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.word_segmentation import (
    JOINER,
    MARK_PATTERN,
    SEPARATOR_PATTERN,
    WORD_BY_ITSELF_PATTERN,
    split_words,
)


def code_points(texts: RaggedArray) -> RaggedArray:
    """The characters of texts as numbers.

    Args:
        texts: uint8, valid UTF-8 in each row; a row may be empty.

    Returns:
        uint32, one code point per character; as many rows as `texts`.

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8.
    """
    # All rows are decoded at once, which is fast. Their boundaries are found again by counting
    # the bytes that begin a character (all but 10xxxxxx).
    begins = (texts.values & 0xC0) != 0x80  # type: ignore[operator]
    offsets = offsets_of(begins)[texts.offsets]
    text = texts.values.tobytes().decode()
    return RaggedArray(np.frombuffer(text.encode("utf-32-le"), "<u4"), offsets)


@dataclass(frozen=True, eq=False)
class Words:
    """The words of some texts.

    Attributes:
        distinct: Each word once.
        numbers: int64, its position in `distinct` for each word of each text, in order.
    """

    distinct: Sequence[str]
    numbers: RaggedArray


def words_of(texts: RaggedArray) -> Words:
    """The words of texts, those of `split_words`.

    Args:
        texts: uint8, valid UTF-8 in each row; a row may be empty.
    """
    points = code_points(texts)
    is_single, is_other = _pieces(points)
    # A piece is a character that is a word, or other characters without a separator.
    goes_on = np.zeros_like(is_other)
    goes_on[1:] = is_other[1:] & is_other[:-1]
    goes_on[_row_starts(points)] = False
    begins = np.flatnonzero(is_single | (is_other & ~goes_on))
    ends = np.flatnonzero(is_single | (is_other & ~np.append(goes_on[1:], False))) + 1
    singles = is_single[begins]
    text = points.values.tobytes().decode("utf-32-le")
    others = zip(begins[~singles].tolist(), ends[~singles].tolist(), strict=True)
    pieces, of_other = _numbered([text[begin:end] for begin, end in others])
    characters, of_single = np.unique(points.values[begins[singles]], return_inverse=True)
    of_place = np.empty(len(begins), np.int64)
    of_place[~singles], of_place[singles] = of_other, len(pieces) + of_single
    words = [*map(_split, pieces), *([chr(point)] for point in characters.tolist())]
    distinct, numbers = _numbered(list(chain.from_iterable(words)))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    found = RaggedArray(numbers, offsets_of(lengths)).take(of_place)
    num_pieces = np.searchsorted(begins, points.offsets)
    return Words(distinct, RaggedArray(found.values, found.offsets[num_pieces]))


def _numbered(strings: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The different strings, and for each of `strings` which of them it is."""
    number = {string: number for number, string in enumerate(dict.fromkeys(strings))}
    found = map(number.__getitem__, strings)
    return list(number), np.fromiter(found, np.int64, len(strings))


def _split(piece: str) -> list[str]:
    # Most pieces are one word, which needs no expression to see.
    return [piece] if piece.isascii() and piece.isalpha() else split_words(piece)


def _pieces(points: RaggedArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which characters are words whatever surrounds them, and which are no separators either.

    Two bool (C,). The first are those that `word_segmentation` joins to no other character but
    to a mark behind them and to a joiner in front of them.
    """
    values: NDArray[np.uint32] = points.values  # type: ignore[assignment]
    seen = np.zeros(int(values.max(initial=0)) + 1, np.bool_)
    seen[values] = True
    distinct = np.flatnonzero(seen)
    characters = "".join(map(chr, distinct.tolist()))

    def are(pattern: str) -> NDArray[np.bool_]:
        table = np.zeros(len(seen), np.bool_)
        found = [match.start() for match in regex.finditer(pattern, characters)]
        table[distinct[found]] = True
        return table[values]

    is_separator = are(SEPARATOR_PATTERN)
    is_single = are(WORD_BY_ITSELF_PATTERN)
    is_mark = are(MARK_PATTERN) & ~is_separator
    is_marked = np.append(is_mark[1:], False)
    is_joined = np.insert(values[:-1] == ord(JOINER), 0, False)[: len(values)]
    starts = _row_starts(points)
    is_joined[starts] = False
    is_marked[starts - 1] = False
    is_single &= ~is_marked & ~is_joined & ~is_separator
    return is_single, ~is_single & ~is_separator


def _row_starts(points: RaggedArray) -> NDArray[np.int64]:
    """The first character of every text that has one."""
    starts = points.offsets[:-1]
    return starts[points.lengths > 0]
