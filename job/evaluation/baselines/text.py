"""How alike two texts are, by their characters; nothing is learned.

Both scores work on Unicode code points, are symmetric, and treat two empty texts as equal::

    ngram_cosine(["receive"], ["recieve"]), edit_similarity(["receive"], ["recieve"])
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

NGRAM_SIZES = (1, 2, 3)

# Characters of a text that are compared one by one: pairs of longer ones would take too long.
MOST_EDITED = 512

# Cells of the working arrays at a time: large enough to keep NumPy busy, a few MiB each.
_CELLS = 1 << 19


def ngram_cosine(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """Cosine of the two texts' bags of character 1-, 2- and 3-grams.

    A text is put between two marks before 2- and 3-grams are cut, so that its first and last
    characters weigh more; a mark alone is no 1-gram.

    Args:
        left: P texts.
        right: P texts.

    Returns:
        float64 (P,) in [0, 1]; 1 for equal texts, 0 where no n-gram is shared.

    Raises:
        ValueError: `left` and `right` differ in length.
    """
    _require_pairs(left, right)
    lengths = np.array([len(a) + len(b) for a, b in zip(left, right, strict=True)], np.int64)
    similarity = np.zeros(len(left))
    for rows in _chunks(len(NGRAM_SIZES) * (2 + lengths)):
        similarity[rows] = _cosine([left[row] for row in rows], [right[row] for row in rows])
    return similarity


def edit_similarity(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """One minus the Levenshtein distance over the longer length.

    Of a longer text the first 512 characters are compared, as if it ended there.

    Args:
        left: P texts.
        right: P texts.

    Returns:
        float64 (P,) in [0, 1]; 1 for equal texts, 0 where every character differs.

    Raises:
        ValueError: `left` and `right` differ in length.
    """
    _require_pairs(left, right)
    similarity = np.ones(len(left))
    for row, (one, other) in enumerate(zip(left, right, strict=True)):
        one, other = one[:MOST_EDITED], other[:MOST_EDITED]
        if one != other:
            similarity[row] -= _levenshtein(one, other) / max(len(one), len(other))
    return similarity


def _require_pairs(left: Sequence[str], right: Sequence[str]) -> None:
    if len(left) != len(right):
        raise ValueError(
            f"left has {len(left)} texts and right {len(right)}. Give one of each a pair."
        )


def _chunks(cells: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cuts the pairs where their cells would pass the budget; at least one a chunk."""
    part = np.cumsum(cells) // _CELLS
    for rows in np.split(np.arange(len(cells)), np.flatnonzero(np.diff(part)) + 1):
        if len(rows):
            yield rows


def _code_points(texts: Sequence[str]) -> NDArray[np.int64]:
    # surrogatepass: a lone surrogate is a code point like any other here.
    data = "".join(texts).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(data, dtype="<u4").astype(np.int64)


def _cosine(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    num_pairs = len(left)
    row, gram = _ngrams([*left, *right])
    # One number for (pair, n-gram), the same on both sides.
    bag = (row % num_pairs) * (1 + gram.max()) + gram
    left_bag, left_count = np.unique(bag[row < num_pairs], return_counts=True)
    right_bag, right_count = np.unique(bag[row >= num_pairs], return_counts=True)
    _, in_left, in_right = np.intersect1d(
        left_bag, right_bag, assume_unique=True, return_indices=True
    )

    def per_pair(bags: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
        sums = np.bincount(bags // (1 + gram.max()), weights=weights, minlength=num_pairs)
        return sums.astype(np.float64, copy=False)

    shared = per_pair(left_bag[in_left], left_count[in_left] * right_count[in_right])
    # One root of the product, not two roots: the sums are whole, so equal bags give exactly 1.
    squares = per_pair(left_bag, left_count**2) * per_pair(right_bag, right_count**2)
    return shared / np.sqrt(squares)


def _ngrams(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every n-gram of every text, as (row of the text, number of the n-gram)."""
    mark = 0
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    row = np.repeat(np.arange(len(texts)), lengths + 2)
    ends = np.cumsum(lengths + 2)
    marked = np.full(len(row), mark, dtype=np.int64)
    inner = np.ones(len(row), dtype=np.bool_)
    inner[ends - 1] = False
    inner[ends - lengths - 2] = False
    marked[inner] = 1 + np.unique(_code_points(texts), return_inverse=True)[1]

    rows, grams, known = [row[inner]], [marked[inner]], 1 + int(marked.max())
    code = marked
    for size in NGRAM_SIZES[1:]:
        code = code[:-1] * (1 + int(marked.max())) + marked[size - 1 :]
        whole = row[: len(code)] == row[size - 1 :]
        # Numbered anew at every size: with a large alphabet the next products would not fit.
        _, code = np.unique(code, return_inverse=True)
        rows.append(row[: len(code)][whole])
        grams.append(known + code[whole])
        known += 1 + int(code.max(initial=0))
    return np.concatenate(rows), np.concatenate(grams)


def _levenshtein(left: str, right: str) -> int:
    """The least number of characters to insert, delete or replace.

    A column of the usual table is kept as two numbers: the bits of one say where the table
    grows by 1 from a row to the next, those of the other where it shrinks. A few operations on
    whole columns give the following one.

    Source: Hyyro, "A bit-vector algorithm for computing Levenshtein and Damerau edit
        distances", Nordic Journal of Computing 10, 2003, after Myers 1999. The result is summed
        up from the last column instead of followed along the last row.
    """
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    places: dict[str, int] = {}
    bit = 1
    for character in longer:
        places[character] = places.get(character, 0) | bit
        bit <<= 1
    every = bit - 1
    grows, shrinks = every, 0
    for character in shorter:
        equal = places.get(character, 0)
        either = equal | shrinks
        equal |= ((equal & grows) + grows) ^ grows
        # From a column to the next, first in the rows themselves, then in those above them; the
        # row above the first one grows.
        to_right_grows = shrinks | (every & ~(equal | grows))
        to_right_shrinks = grows & equal
        to_right_grows = (to_right_grows << 1 | 1) & every
        to_right_shrinks = to_right_shrinks << 1 & every
        grows = to_right_shrinks | (every & ~(either | to_right_grows))
        shrinks = to_right_grows & either
    return len(shorter) + grows.bit_count() - shrinks.bit_count()
