"""How well a search finds what belongs together.

M items, Q queries, C candidates, R relevant candidates of a query.

A query is an item that is searched with; its relevant items are those of its class, or those it
is known to match. The similarities of Q x C combinations are computed for a few queries at a
time, so memory does not grow with their number::

    search = search_by_class(item_class, max_queries=1000)
    search_metrics(search, similarity=lambda query, candidate: unit[query] @ unit[candidate].T)

Candidates that are as similar as a relevant one count as nearer: an encoder that gives all
items one embedding finds nothing.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
# From rows of some queries (b,) and of all candidates (C,) to float32 (b, C), large = similar.
Similarity = Callable[[IntArray, IntArray], NDArray[np.float32]]

# What `search_metrics` measures; `config.monitors.RETRIEVAL_METRICS` declares them.
UNKNOWN: Mapping[str, float] = MappingProxyType(
    dict.fromkeys(("recall_at_1", "recall_at_10", "mrr", "map"), math.nan)
)

# Budget of the similarities computed at a time.
TABLE_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched for, and among what.

    Attributes:
        query: int64 (Q,), rows of the queries.
        candidate: int64 (C,), rows of what may be found, ascending, each once. A query among
            them does not find itself.
        listed: int64 (L,), positions in `candidate`.
        first: int64 (Q,); the relevant candidates of query k are
            `listed[first[k] : end[k]]`, at least one other than itself.
        end: int64 (Q,).
    """

    query: IntArray
    candidate: IntArray
    listed: IntArray
    first: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.query)

    def some(self, max_queries: int) -> "Search":
        """The same search with fewer queries, evenly spaced."""
        count = min(len(self), max_queries)
        chosen = np.arange(count) * len(self) // max(count, 1)
        return Search(
            self.query[chosen],
            self.candidate,
            self.listed,
            self.first[chosen],
            self.end[chosen],
        )


def search_by_class(item_class: IntArray, *, max_queries: int) -> Search:
    """Searches with each item of a class for the others of its class.

    Args:
        item_class: int64 (M,), class of each item. Items of an unknown class, -1, are neither
            queries nor candidates.
        max_queries: Largest number of queries; they are evenly spaced.
    """
    candidate = np.flatnonzero(item_class >= 0)
    own_class = item_class[candidate]
    listed = np.argsort(own_class, kind="stable")
    first = np.searchsorted(own_class[listed], own_class, side="left")
    end = np.searchsorted(own_class[listed], own_class, side="right")
    has_others = end - first > 1
    query, first, end = candidate[has_others], first[has_others], end[has_others]
    return Search(query, candidate, listed, first, end).some(max_queries)


def search_by_match(
    left: IntArray, right: IntArray, *, label: NDArray[np.generic], max_queries: int
) -> Search:
    """Searches with each left item, among all right items, for those that it matches.

    Items that no pair compares count as no match, so the values are lower bounds.

    Args:
        left: int64 (P,), row of the first item of each pair.
        right: int64 (P,), of the second.
        label: (P,), 1 = match, 0 = no match. A match holds in both directions.
        max_queries: Largest number of queries; they are evenly spaced.
    """
    candidate = np.unique(right)
    matches = (np.asarray(label) == 1) & (left != right)
    query = np.concatenate([left[matches], right[matches]])
    found = np.concatenate([right[matches], left[matches]])
    is_searched = np.isin(query, left) & np.isin(found, candidate)
    place = np.searchsorted(candidate, found[is_searched])
    # One number for each combination, so that one that is given twice counts once.
    combined = np.unique(query[is_searched] * len(candidate) + place)
    queries, listed = np.divmod(combined, len(candidate))
    query, first = np.unique(queries, return_index=True)
    end = np.append(first[1:], len(queries)).astype(np.int64)
    return Search(query, candidate, listed, first, end).some(max_queries)


def search_metrics(search: Search, *, similarity: Similarity) -> Mapping[str, float]:
    """The quality of a search, by name, each in [0, 1].

    Args:
        search: Queries, candidates and what is relevant.
        similarity: Compares some queries with all candidates.

    Returns:
        `recall_at_1` and `recall_at_10`: share of queries with a relevant item among the
        nearest ones. `mrr`: mean over queries of 1 / rank of the nearest relevant item. `map`:
        mean over queries of the average precision. `UNKNOWN` if there are no queries.

    Source: Oh Song et al. 2016 for recall at k, where one relevant item suffices; Voorhees
    1999 for MRR; Manning, Raghavan, Schuetze 2008, section 8.4 for MAP, with candidates of
    equal similarity accepted together as in scikit-learn.
    """
    if not len(search):
        return UNKNOWN
    rank, precision = np.array(list(_each(search, similarity))).T
    return {
        "recall_at_1": float(np.mean(rank <= 1)),
        "recall_at_10": float(np.mean(rank <= 10)),
        "mrr": float(np.mean(1.0 / rank)),
        "map": float(np.mean(precision)),
    }


def _each(search: Search, similarity: Similarity) -> Iterator[tuple[int, float]]:
    """Rank of the nearest relevant item, and average precision, of each query."""
    own = np.searchsorted(search.candidate, search.query)
    own = np.where(search.candidate.take(own, mode="clip") == search.query, own, -1)
    at_a_time = max(1, TABLE_BYTES // (4 * len(search.candidate)))
    for start in range(0, len(search), at_a_time):
        block = slice(start, start + at_a_time)
        table = similarity(search.query[block], search.candidate)
        for number, row in enumerate(table, start):
            relevant = search.listed[search.first[number] : search.end[number]]
            if own[number] >= 0:
                row[own[number]] = -np.inf
                relevant = relevant[relevant != own[number]]
            yield _rank_and_precision(row, relevant)


def _rank_and_precision(
    similarity_C: NDArray[np.float32], relevant_R: IntArray
) -> tuple[int, float]:
    found_R = np.sort(similarity_C[relevant_R])
    num_relevant = len(found_R)
    # For each candidate, the number of relevant ones that are no more similar.
    above_C = np.searchsorted(found_R, similarity_C, side="right")
    counts_R = np.bincount(above_C, minlength=num_relevant + 1)[1:]
    # For each relevant one, the number of candidates, and of relevant ones, as similar.
    nearer_R = np.cumsum(counts_R[::-1])[::-1]
    hits_R = num_relevant - np.searchsorted(found_R, found_R, side="left")
    rank = 1 + int(nearer_R[-1] - hits_R[-1])
    return rank, float(np.mean(hits_R / nearer_R))
