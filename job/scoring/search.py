"""Finds every pair of items that might be similar enough: exact, in blocks, pruned by a bound.

Q queries, C candidates, E size of a vector, H hits.

Queries are compared with candidates a table at a time. Only the part of a table that reaches a
bound leaves the processor's cache: the similarity that a match needs or, with `top`, that of
the K-th best so far. No pair within the error of a bound is dropped, so that the caller's exact
comparison decides::

    for block in near_pairs(Search(left, right, at_least=0.8)):
        block.hits.query, block.hits.candidate

This module knows numbers only: no model, no files.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from job.distribution.hardware import num_cores
from job.scoring.copies import position_in_run
from job.scoring.vectors import FloatArray, Vectors

IntArray = NDArray[np.int64]

# A table of them fits into the cache of a core.
QUERIES_AT_ONCE = 256
CANDIDATES_AT_ONCE = 1024
# Hits of one block of queries beyond which it is divided; 16 bytes each.
MOST_HITS = 1 << 20


@dataclass(frozen=True, eq=False)
class Hits:
    """Pairs that may match, by query, then by candidate.

    Attributes:
        query: int64 (H,).
        candidate: int64 (H,).
    """

    query: IntArray
    candidate: IntArray

    def __len__(self) -> int:
        return len(self.query)


class Block(NamedTuple):
    """All hits of some queries.

    Attributes:
        first: The first of the queries.
        end: The query behind the last one.
        hits: Their hits.
    """

    first: int
    end: int
    hits: Hits


@dataclass(frozen=True)
class Search:
    """What is searched.

    Args:
        queries: One side.
        candidates: The other side; the same items where they are compared with each other.
        at_least: Similarity that a pair needs; -inf: every pair is similar enough.
        top: Number of best candidates that a query keeps; None: all.
        own: int64 (Q,), the candidate that each query is and is not compared with, in rising
            order; None: the sides are different collections.
        is_once: Whether only candidates after `own` are compared, so that each pair of one
            collection comes once. Not with `top`.
        most_hits: See MOST_HITS.
    """

    queries: Vectors
    candidates: Vectors
    at_least: float = -np.inf
    top: int | None = None
    own: IntArray | None = None
    is_once: bool = False
    most_hits: int = MOST_HITS

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise ValueError(f"top must be 1 or more, got {self.top}")
        if self.is_once and (self.own is None or self.top is not None):
            raise ValueError("is_once needs own, and has no meaning with top")


def near_pairs(
    search: Search,
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Block]:
    """Yields every pair that may be similar enough, a block of queries at a time, in order.

    A hit may be less similar than `at_least`, and a query may have more than `top` hits, but
    only by the errors of its vectors. Memory is bounded by the threads times `most_hits`.

    Args:
        search: What is searched.
        threads: Blocks that are searched at the same time; None: one for each core.
        progress: Told the number of queries that are done.
    """
    from threadpoolctl import threadpool_limits

    threads = threads or num_cores()
    # A block keeps one core busy. The threads of BLAS would wait for each other in every table.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads, "search") as pool:
        waiting: deque[tuple[int, int, Future[Hits | None]]] = deque()
        starts = iter(range(0, len(search.queries), QUERIES_AT_ONCE))
        try:
            while True:
                while len(waiting) <= threads and (first := next(starts, None)) is not None:
                    end = min(first + QUERIES_AT_ONCE, len(search.queries))
                    waiting.append((first, end, pool.submit(_hits_of, search, first, end)))
                if not waiting:
                    return
                first, end, future = waiting.popleft()
                yield from _divided(search, first, end, future.result())
                if progress:
                    progress(end)
        finally:
            pool.shutdown(cancel_futures=True)


def _divided(search: Search, first: int, end: int, hits: Hits | None) -> Iterator[Block]:
    """The block, in two halves, and so on, if it had too many hits."""
    if hits is not None:
        yield Block(first, end, hits)
        return
    middle = (first + end) // 2
    for start, stop in ((first, middle), (middle, end)):
        yield from _divided(search, start, stop, _hits_of(search, start, stop))


def _hits_of(search: Search, first: int, end: int) -> Hits | None:
    """The hits of queries; None if they have too many, unless it is one query."""
    block = _BlockSearch(search, first, end)
    begin = 0
    if search.is_once and search.own is not None:
        begin = int(search.own[first]) + 1
    for start in range(begin, len(search.candidates), CANDIDATES_AT_ONCE):
        block.compare(start, min(start + CANDIDATES_AT_ONCE, len(search.candidates)))
        if block.num_hits > search.most_hits and end - first > 1:
            return None
    return block.finished()


class _BlockSearch:
    """The search of one block of queries.

    Args:
        search: What is searched.
        first: The first query.
        end: The query behind the last one.
    """

    def __init__(self, search: Search, first: int, end: int) -> None:
        self._search = search
        self._first = first
        self._queries_QE = search.queries.values[first:end]
        self._error = float(np.max(search.queries.error[first:end], initial=0.0))
        self._own_Q = None if search.own is None else search.own[first:end]
        num = end - first
        # What a pair must reach that is as similar as it seems.
        self._bound_Q = np.full(num, search.at_least)
        self._table = np.empty((num, CANDIDATES_AT_ONCE), np.float32)
        self._mask = np.empty((num, CANDIDATES_AT_ONCE), np.bool_)
        self._query: list[IntArray] = []
        self._candidate: list[IntArray] = []
        # The lowest and the highest similarity that a hit can have in truth.
        self._low: list[NDArray[np.float64]] = []
        self._high: list[NDArray[np.float64]] = []
        self.num_hits = 0
        self._tightened_hits = 0

    def compare(self, start: int, end: int) -> None:
        """Compares the queries with the candidates from `start` to `end`."""
        candidates = self._search.candidates
        table_QC = self._table[:, : end - start]
        np.matmul(self._queries_QE, candidates.values[start:end].T, out=table_QC)
        error = self._error + float(np.max(candidates.error[start:end], initial=0.0))
        self._leave_out(table_QC, start, end)
        found = self._found(table_QC, error)
        top = self._search.top
        if top is not None and len(found) > 4 * top * len(table_QC) and end - start > top:
            best_Q = np.partition(table_QC, end - start - top, axis=1)[:, end - start - top]
            self._bound_Q = np.maximum(self._bound_Q, best_Q.astype(np.float64) - error)
            found = self._found(table_QC, error)
        if not len(found):
            return
        query, candidate = np.divmod(found, end - start)
        self._query.append(query)
        self._candidate.append(candidate + start)
        self.num_hits += len(found)
        if top is None:
            return
        similarity = table_QC[query, candidate].astype(np.float64)
        self._low.append(similarity - error)
        self._high.append(similarity + error)
        if self.num_hits > 2 * self._tightened_hits + 1024:
            self._tighten(top)

    def finished(self) -> Hits:
        """All hits."""
        if self._search.top is not None and self._query:
            self._tighten(self._search.top)
        if not self._query:
            none = np.empty(0, np.int64)
            return Hits(none, none)
        query, candidate = np.concatenate(self._query), np.concatenate(self._candidate)
        order = np.argsort(query, kind="stable")
        return Hits(query[order] + self._first, candidate[order])

    def _leave_out(self, table_QC: FloatArray, start: int, end: int) -> None:
        """Gives -inf to items compared with themselves, or with those before them."""
        own_Q = self._own_Q
        if own_Q is None or own_Q[-1] < start or own_Q[0] >= end:
            return
        if self._search.is_once:
            table_QC[np.arange(start, end) <= own_Q[:, None]] = -np.inf
        else:
            here = np.flatnonzero((own_Q >= start) & (own_Q < end))
            table_QC[here, own_Q[here] - start] = -np.inf

    def _found(self, table_QC: FloatArray, error: float) -> IntArray:
        """Places in the flat table that reach the bound of their query."""
        # Float32 numbers below the float64 bound would be compared with what it rounds to.
        bound_Q = np.nextafter((self._bound_Q - error).astype(np.float32), np.float32(-np.inf))
        mask = self._mask[:, : table_QC.shape[1]]
        # -inf >= -inf would find what was left out.
        np.greater_equal(table_QC, np.maximum(bound_Q, _LOWEST)[:, None], out=mask)
        if mask.flags.c_contiguous and mask.size % 8 == 0:
            # Eight at a time, since there are few.
            words = np.flatnonzero(mask.reshape(-1).view(np.uint64))
            if not len(words):
                return words
            inside = np.flatnonzero(mask.reshape(-1, 8)[words])
            place: IntArray = words[inside >> 3] * 8 + (inside & 7)
            return place
        return np.flatnonzero(mask)

    def _tighten(self, top: int) -> None:
        """Raises the bounds to the K-th best of each query, and drops what is below."""
        query, candidate = np.concatenate(self._query), np.concatenate(self._candidate)
        low, high = np.concatenate(self._low), np.concatenate(self._high)
        order = np.lexsort((-low, query))
        kth = order[position_in_run(query[order]) == top - 1]
        self._bound_Q[query[kth]] = np.maximum(self._bound_Q[query[kth]], low[kth])
        kept = np.flatnonzero(high >= self._bound_Q[query])
        self._query, self._candidate = [query[kept]], [candidate[kept]]
        self._low, self._high = [low[kept]], [high[kept]]
        self.num_hits = self._tightened_hits = len(kept)


_LOWEST = np.finfo(np.float32).min
