"""Chooses pairs that are worth a label: where the model doubts, and where it may be wrong.

S sampled items, C candidates, P pairs.

Half of the pairs are those whose scores are nearest to the threshold. The other half are the
nearest neighbours of items drawn at random: their labels show wrong matches and missed ones,
which the model is sure of. No item is in many pairs, so that labels tell about many items::

    pairs = pairs_to_label(model, comparison, num_pairs=100, seed=0)
    pairs.pairs.left, pairs.is_doubtful
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from job.scoring.copies import IntArray, ScoredPairs
from job.scoring.decide import Comparison
from job.scoring.distance_head import DistanceHead
from job.scoring.model import Model, distance_head, distance_of
from job.scoring.search import CANDIDATES_AT_ONCE, QUERIES_AT_ONCE, Search, near_pairs
from job.scoring.vectors import Vectors, compared_vectors

_MOST_OF_ITEM = 3
_FEWEST_SAMPLED = 1000
_SAMPLED_FOR_PAIR = 4
# A threshold of 0 or 1 has no logit.
_LARGEST_LOGIT = 20.0


@dataclass(frozen=True, eq=False)
class PairsToLabel:
    """Pairs of items, the doubtful ones first.

    Attributes:
        pairs: The left item is the one that comes first, within a collection.
        is_doubtful: bool (P,), whether the pair was chosen for a score near the threshold, and
            not as a nearest neighbour.
    """

    pairs: ScoredPairs
    is_doubtful: NDArray[np.bool_]


def pairs_to_label(
    model: Model,
    comparison: Comparison,
    *,
    num_pairs: int,
    num_candidates: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> PairsToLabel:
    """Chooses pairs.

    Args:
        model: The model.
        comparison: What is compared, and the threshold.
        num_pairs: Pairs that are chosen, if there are as many.
        num_candidates: Nearest items of an item among which doubtful pairs are looked for,
            where the head is no distance.
        seed: Draws the items.
        progress: Told the number of sampled items that are done.
    """
    random = np.random.default_rng(seed)
    num_left = len(comparison.left_ND)
    size = min(num_left, max(_FEWEST_SAMPLED, _SAMPLED_FOR_PAIR * num_pairs))
    sample = np.sort(random.choice(num_left, size, replace=False)).astype(np.int64)
    head = None if model.distance is None else distance_head(model)
    rounding = 0.0 if head is None else head.rounding
    left, right = compared_vectors(
        comparison.left_ND,
        comparison.right_MD,
        distance=distance_of(model),
        rounding=rounding,
    )
    own = sample if comparison.is_within else None
    search = Search(left.take(sample), right, top=1 if head else num_candidates, own=own)
    near = _scored(comparison, _found(search, sample, progress=progress))
    doubtful = near
    logit = _logit(comparison.threshold)
    if head is not None:
        at_threshold = _near_similarity(search, _similarity(head, logit))
        doubtful = _scored(
            comparison, [(sample[query], found) for query, found in at_threshold]
        )
    doubtful = doubtful.take(np.argsort(np.abs(doubtful.logit - logit), kind="stable"))
    neighbours = near.best_of_left(1)
    neighbours = neighbours.take(random.permutation(len(neighbours)))
    return _chosen(doubtful, neighbours, comparison=comparison, num_pairs=num_pairs)


def _chosen(
    doubtful: ScoredPairs, neighbours: ScoredPairs, *, comparison: Comparison, num_pairs: int
) -> PairsToLabel:
    """The first half from the one, then from the other, and what is left from the first."""
    both = [part.of(*comparison.ends(part.left, part.right)) for part in (doubtful, neighbours)]
    limits = (num_pairs - num_pairs // 2, num_pairs, num_pairs)
    uses: dict[tuple[str, int], int] = {}
    taken: dict[tuple[int, int], tuple[int, int]] = {}
    for part, limit in zip((0, 1, 0), limits, strict=True):
        ends_of = zip(both[part].left.tolist(), both[part].right.tolist(), strict=True)
        for position, (left, right) in enumerate(ends_of):
            if len(taken) >= limit:
                break
            # Within a collection an item is the same item on either side.
            ends = (("left", left), ("left" if comparison.is_within else "right", right))
            is_used_up = any(uses.get(end, 0) >= _MOST_OF_ITEM for end in ends)
            if is_used_up or (left, right) in taken:
                continue
            taken[left, right] = part, position
            for end in ends:
                uses[end] = uses.get(end, 0) + 1
    order = sorted(taken.values())
    places = [np.array([at for of, at in order if of == part], np.int64) for part in (0, 1)]
    pairs = ScoredPairs.joined(
        [side.take(place) for side, place in zip(both, places, strict=True)]
    )
    return PairsToLabel(pairs, np.arange(len(pairs)) < len(places[0]))


def _scored(comparison: Comparison, found: list[tuple[IntArray, IntArray]]) -> ScoredPairs:
    """Asks the model about queries and candidates."""
    none = np.empty(0, np.int64)
    query = np.concatenate([none, *(pair[0] for pair in found)])
    candidate = np.concatenate([none, *(pair[1] for pair in found)])
    return comparison.scored(query, candidate)


def _found(
    search: Search, sample: IntArray, *, progress: Callable[[int], None] | None
) -> list[tuple[IntArray, IntArray]]:
    blocks = near_pairs(search, progress=progress)
    return [(sample[block.hits.query], block.hits.candidate) for block in blocks]


def _near_similarity(search: Search, similarity: float) -> Iterator[tuple[IntArray, IntArray]]:
    """Yields the candidates of each query whose similarity is nearest to a given one."""
    num_queries = len(search.queries)
    for first in range(0, num_queries, QUERIES_AT_ONCE):
        query = np.arange(first, min(first + QUERIES_AT_ONCE, num_queries))
        part = replace(
            search,
            queries=search.queries.take(query),
            own=None if search.own is None else search.own[query],
        )
        yield from _of_block(part, query, similarity)


def _of_block(
    search: Search, query: IntArray, similarity: float
) -> Iterator[tuple[IntArray, IntArray]]:
    candidates: Vectors = search.candidates
    gap_QK = np.full((len(query), _MOST_OF_ITEM), np.inf, np.float32)
    found_QK = np.full((len(query), _MOST_OF_ITEM), -1, np.int64)
    for start in range(0, len(candidates), CANDIDATES_AT_ONCE):
        number = np.arange(start, min(start + CANDIDATES_AT_ONCE, len(candidates)))
        table_QC = search.queries.values @ candidates.values[number].T
        gap_QC = np.abs(table_QC - np.float32(similarity))
        if search.own is not None:
            gap_QC[search.own[:, None] == number] = np.inf
        gaps = np.concatenate([gap_QK, gap_QC], axis=1)
        numbers = np.concatenate([found_QK, np.broadcast_to(number, gap_QC.shape)], axis=1)
        best = np.argpartition(gaps, _MOST_OF_ITEM - 1, axis=1)[:, :_MOST_OF_ITEM]
        gap_QK = np.take_along_axis(gaps, best, axis=1)
        found_QK = np.take_along_axis(numbers, best, axis=1)
    row, place = np.nonzero(np.isfinite(gap_QK))
    yield query[row], found_QK[row, place]


def _logit(score: float) -> float:
    if not 0.0 < score < 1.0:
        return math.copysign(_LARGEST_LOGIT, score - 0.5)
    return max(-_LARGEST_LOGIT, min(_LARGEST_LOGIT, math.log(score) - math.log1p(-score)))


def _similarity(head: DistanceHead, logit: float) -> float:
    """The similarity at a logit; where no items are so near, that of equal ones."""
    if head.distance == "cosine":
        return (logit - head.bias) / head.scale
    return -0.5 * max(0.0, (head.bias - logit) / head.scale) ** 2
