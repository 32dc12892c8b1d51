"""Untrained similarities of two texts, computed from their characters.

Both work on Unicode code points, are symmetric, and treat two empty texts as equal::

    ngram_cosine(["receive"], ["recieve"]), edit_similarity(["receive"], ["recieve"])
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

NGRAM_SIZES = (1, 2, 3)

# Characters of a text that enter the edit distance.
MAX_CHARACTERS = 512

# Cells of the working arrays at a time: large enough to keep NumPy busy, a few MiB each.
_CELLS = 1 << 19


def ngram_cosine(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """Cosine of the two texts' bags of character 1-, 2- and 3-grams.

    A start and an end mark surround each text, so the first and last characters weigh more in
    2- and 3-grams; the marks are not counted as 1-grams.

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
    """One minus the Levenshtein distance divided by the longer length.

    Only the first 512 characters of a text are compared: the time of a pair grows with the
    product of both lengths.

    Args:
        left: P texts.
        right: P texts.

    Returns:
        float64 (P,) in [0, 1]; 1 for equal texts, 0 where every character differs.

    Raises:
        ValueError: `left` and `right` differ in length.
    """
    from rapidfuzz.distance import Levenshtein

    _require_pairs(left, right)
    similarity = np.ones(len(left))
    for row, (one, other) in enumerate(zip(left, right, strict=True)):
        one, other = one[:MAX_CHARACTERS], other[:MAX_CHARACTERS]
        length = max(len(one), len(other), 1)
        similarity[row] = 1.0 - Levenshtein.distance(one, other) / length
    return similarity


def _require_pairs(left: Sequence[str], right: Sequence[str]) -> None:
    if len(left) != len(right):
        raise ValueError(
            f"left has {len(left)} texts and right {len(right)}. Provide one of each per pair."
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
