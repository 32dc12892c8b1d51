"""Finds near items by an index, for collections that are too large to compare every pair.

Q queries, C candidates, D embedding size.

The index is a graph of near neighbours (HNSW, by usearch) in memory. It finds most of the
nearest items of a query, not all; `job.scoring.recall` measures how many::

    index = NeighbourIndex.build(right_CD, distance="cosine")
    for block in index.search(left_QD, top=100, own=None):
        block.hits

Source: Malkov, Yashunin 2018, Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.distribution.hardware import num_cores
from job.errors import ConfigError
from job.scoring.search import Block, Hits
from job.scoring.vectors import Distance, FloatArray

IntArray = NDArray[np.int64]

# docs/match.md has what other values cost and find.
CONNECTIVITY = 16
EXPANSION_ADD = 64
EXPANSION_SEARCH = 128
_METRICS: dict[Distance, str] = {"cosine": "cos", "euclidean": "l2sq"}
# Between two of them a signal is obeyed.
_ADDED_AT_ONCE = 1 << 14
_SEARCHED_AT_ONCE = 1 << 12


def require_index() -> None:
    """Checks that the extra is installed.

    Raises:
        ConfigError: It is not.
    """
    _usearch()


class NeighbourIndex:
    """An index of candidates.

    Args:
        index: Of usearch, filled.
        scale: What was done to its items.
        num_candidates: C.
        threads: Queries that are searched at the same time.
    """

    def __init__(
        self, index: Any, scale: "_HalfPrecision", *, num_candidates: int, threads: int
    ) -> None:
        self._index = index
        self._scale = scale
        self._num_candidates = num_candidates
        self._threads = threads

    @classmethod
    def build(
        cls,
        right_CD: FloatArray,
        *,
        distance: Distance,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> "NeighbourIndex":
        """Adds every candidate.

        Args:
            right_CD: float32 (C, D), finite.
            distance: What makes two items near.
            threads: None: one for each core.
            progress: Told the number of candidates in the index.

        Raises:
            ConfigError: The extra `index` is not installed.
        """
        threads = threads or num_cores()
        scale = _HalfPrecision.of(right_CD, distance=distance)
        index = _usearch().Index(
            ndim=right_CD.shape[1],
            metric=_METRICS[distance],
            dtype="f16",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
            enable_key_lookups=False,
        )
        for start in range(0, len(right_CD), _ADDED_AT_ONCE):
            end = min(start + _ADDED_AT_ONCE, len(right_CD))
            index.add(
                np.arange(start, end), scale.of_rows(right_CD[start:end]), threads=threads
            )
            if progress:
                progress(end)
        return cls(index, scale, num_candidates=len(right_CD), threads=threads)

    def search(
        self,
        left_QD: FloatArray,
        *,
        top: int,
        own: IntArray | None,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Block]:
        """Yields near candidates of each query, a block of queries at a time, in order.

        Args:
            left_QD: float32 (Q, D), finite.
            top: Number of near candidates of a query.
            own: int64 (Q,), the candidate that each query is and is not paired with; None: the
                sides are different collections.
            progress: Told the number of queries that are done.
        """
        # A query finds itself.
        count = min(top + (own is not None), self._num_candidates)
        for start in range(0, len(left_QD) if count else 0, _SEARCHED_AT_ONCE):
            end = min(start + _SEARCHED_AT_ONCE, len(left_QD))
            queries = self._scale.of_rows(left_QD[start:end])
            found = self._index.search(queries, count, threads=self._threads)
            # For one query, usearch returns one row without an axis of queries.
            shape = (end - start, -1)
            keys_QK = np.asarray(found.keys).astype(np.int64).reshape(shape)
            counts_Q = np.atleast_1d(getattr(found, "counts", keys_QK.shape[1]))
            is_found_QK = np.arange(keys_QK.shape[1]) < counts_Q.reshape(-1, 1)
            if own is not None:
                is_found_QK &= keys_QK != own[start:end, None]
            is_found_QK &= np.cumsum(is_found_QK, axis=1) <= top
            query, place = np.nonzero(is_found_QK)
            yield Block(start, end, Hits(query + start, keys_QK[query, place]))
            if progress:
                progress(end)


@dataclass(frozen=True, eq=False)
class _HalfPrecision:
    """Brings embeddings into the range of float16, which halves memory and time.

    Args:
        center_D: float32 (D,), what is subtracted; 0 for cosines.
        factor: What is multiplied then; None: each row is scaled to length 1.
    """

    center_D: FloatArray
    factor: float | None

    @classmethod
    def of(cls, embedding_CD: FloatArray, *, distance: Distance) -> "_HalfPrecision":
        if distance == "cosine":
            return cls(np.zeros(embedding_CD.shape[1], np.float32), None)
        center_D = embedding_CD.mean(axis=0, dtype=np.float64).astype(np.float32)
        largest = float(np.max(np.abs(embedding_CD - center_D), initial=1e-30))
        return cls(center_D, 1.0 / largest)

    def of_rows(self, embedding_ND: FloatArray) -> FloatArray:
        if self.factor is not None:
            return np.ascontiguousarray((embedding_ND - self.center_D) * self.factor)
        norm_N1 = np.linalg.norm(embedding_ND, axis=1, keepdims=True)
        unit_ND: FloatArray = embedding_ND / np.maximum(norm_N1, np.float32(1e-30))
        return unit_ND


def _usearch() -> Any:
    try:
        import usearch.index
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"an index of so many items, or --index, needs the package usearch, which is not "
            f"installed ({error}). Install siamese-job[index], or use --exact, which compares "
            "every pair."
        ) from error
    return usearch.index
