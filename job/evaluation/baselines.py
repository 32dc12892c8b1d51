"""Scores that need no learning, to see what a trained model adds.

A model that does not beat the better of them is not worth serving::

    for name, scores in BASELINES.items():
        roc_auc(label, scores(left, right))

Both work on Unicode code points, are symmetric, and treat two empty texts as equal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

NGRAM_SIZES = (1, 2, 3)

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
    lengths = _pair_lengths(left, right)
    similarity = np.zeros(len(left))
    for rows in _chunks(
        np.arange(len(left)), cells=len(NGRAM_SIZES) * (2 + lengths.sum(axis=0))
    ):
        similarity[rows] = _cosine([left[row] for row in rows], [right[row] for row in rows])
    return similarity


def edit_similarity(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """One minus the Levenshtein distance over the longer length.

    Args:
        left: P texts.
        right: P texts.

    Returns:
        float64 (P,) in [0, 1]; 1 for equal texts, 0 where every character differs.

    Raises:
        ValueError: `left` and `right` differ in length.
    """
    lengths = _pair_lengths(left, right)
    similarity = np.ones(len(left))
    # Neighbours in this order are about equally long, so little of a chunk is padding.
    order = np.lexsort((lengths[1], lengths[0]))
    for rows in _chunks(order, cells=1 + lengths[1][order]):
        distance = _levenshtein([left[row] for row in rows], [right[row] for row in rows])
        similarity[rows] -= distance / np.maximum(lengths[:, rows].max(axis=0), 1)
    return similarity


BASELINES: Mapping[str, Callable[[Sequence[str], Sequence[str]], NDArray[np.float64]]] = (
    MappingProxyType({"ngram_cosine": ngram_cosine, "edit_similarity": edit_similarity})
)


def _pair_lengths(left: Sequence[str], right: Sequence[str]) -> NDArray[np.int64]:
    if len(left) != len(right):
        raise ValueError(
            f"left has {len(left)} texts and right {len(right)}. Give one of each a pair."
        )
    return np.array([[len(text) for text in side] for side in (left, right)], dtype=np.int64)


def _chunks(
    order: NDArray[np.int64], *, cells: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Cuts an order of pairs where their cells would pass the budget; at least one a chunk."""
    part = np.cumsum(cells) // _CELLS
    for rows in np.split(order, np.flatnonzero(np.diff(part)) + 1):
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


def _levenshtein(left: Sequence[str], right: Sequence[str]) -> NDArray[np.int64]:
    """Distances of a chunk of pairs: the usual table, one row at a time for all pairs.

    The step along a row, `row[j] = min(row[j], row[j - 1] + 1)`, is a running minimum of
    `row[j] - j`, which NumPy has. A cell depends only on cells above it and to its left, so
    the padding behind a text reaches no cell that is read.
    """
    left_ids, left_length = _padded(left)
    right_ids, right_length = _padded(right)
    pair = np.arange(len(left))
    column = np.arange(right_ids.shape[1] + 1)
    row = np.repeat(column[None, :], len(left), axis=0)
    distance = right_length.copy()
    for taken in range(1, left_ids.shape[1] + 1):
        differs = right_ids != left_ids[:, taken - 1, None]
        following = np.minimum(row + 1, taken)
        following[:, 1:] = np.minimum(row[:, 1:] + 1, row[:, :-1] + differs)
        row = np.minimum.accumulate(following - column, axis=1) + column
        done = left_length == taken
        distance[done] = row[pair[done], right_length[done]]
    return distance


def _padded(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    ids = np.zeros((len(texts), int(lengths.max())), dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = _code_points(texts)
    return ids, lengths
