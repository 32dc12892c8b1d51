"""Finds the matches in a collection, or between two, with an exported model.

R rows, N items, D embedding size.

What of a model is searched how is decided here; `search`, `index_search` and `decide` do it::

    embedded = embed_collection(model, people)
    found = find_matches(model, embedded, embedded, options=MatchOptions(threshold=0.9))
    for pairs in found.pairs:
        people.rows[pairs.left[0]], people.rows[pairs.right[0]], pairs.score[0]
    found.recall()
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from job.errors import DataError
from job.scoring.collection import Collection
from job.scoring.copies import RowsOfItems, ScoredPairs
from job.scoring.decide import Comparison, matches, matching_items
from job.scoring.index_search import NeighbourIndex
from job.scoring.model import Model, distance_head, distance_of
from job.scoring.recall import Recall, RecallSample
from job.scoring.search import Block, Search, near_pairs
from job.scoring.vectors import FloatArray, compared_vectors

IntArray = NDArray[np.int64]

Method = Literal["exact", "candidates", "index"]
# Told what is done, how much of it is, and how much there is.
Progress = Callable[[str, int, int], None]

# Items of a side beyond which comparing every pair takes hours.
MOST_EXACT_ITEMS = 3_000_000
# Pairs that the model itself is asked about in less time than a search takes that misses some.
MOST_EXACT_PAIRS = 20_000_000
NUM_CANDIDATES = 100
_EMBEDDED_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class MatchOptions:
    """What is looked for.

    Attributes:
        threshold: A match has at least this score.
        top: Matches that a row keeps, the best ones; None: all.
        num_candidates: Nearest items of each item that the model is asked about, where not
            every pair is compared.
        method: `exact` or `index`; None: what suits the head and the number of items.
        seed: Draws the sample that recall is measured on.
    """

    threshold: float
    top: int | None = None
    num_candidates: int = NUM_CANDIDATES
    method: Literal["exact", "index"] | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Embedded:
    """A collection with its embeddings.

    Attributes:
        embedding_ND: float32 (N, D), of each item, in order of first appearance.
        rows: The rows of each item.
    """

    embedding_ND: FloatArray
    rows: RowsOfItems


@dataclass(frozen=True, eq=False)
class Found:
    """A search under way.

    Attributes:
        pairs: The matches as pairs of rows, by left row, then best first; to be read once.
        method: How they are found. `exact`: none is missed.
        recall: Measures how many the search has missed, once all pairs are read; None: none.
    """

    pairs: Iterator[ScoredPairs]
    method: Method
    recall: Callable[[], Recall] | None


def comparison_of(
    model: Model, left: Embedded, right: Embedded, *, threshold: float, top: int | None
) -> Comparison:
    """What is compared; one collection if both are the same object."""
    return Comparison(
        model.compare,
        left.embedding_ND,
        right.embedding_ND,
        left.rows,
        right.rows,
        threshold,
        top,
    )


def embed_collection(
    model: Model, collection: Collection, *, progress: Callable[[int], None] | None = None
) -> Embedded:
    """Embeds each item of a collection once.

    Args:
        model: The model.
        collection: The rows.
        progress: Told the number of items that are embedded.

    Raises:
        ConfigError: The model takes items of another kind.
        DataError: An embedding is not finite.
    """
    num_items = len(collection.items)
    embedding_ND = np.empty((num_items, model.embedding_size), np.float32)
    for start in range(0, num_items, _EMBEDDED_AT_ONCE):
        rows = np.arange(start, min(start + _EMBEDDED_AT_ONCE, num_items))
        embedding_ND[rows] = model.embed(collection.items, rows)
        if progress:
            progress(int(rows[-1]) + 1)
    bad = np.flatnonzero(~np.isfinite(embedding_ND).all(axis=1))
    if len(bad):
        row = int(np.flatnonzero(collection.item == bad[0])[0])
        raise DataError(
            f"{collection.name}: the model gives {len(bad):,} items an embedding that is not "
            f"finite; the first is {collection.text[row]!r:.100}. Remove them, or train with "
            "items like them."
        )
    return Embedded(embedding_ND, RowsOfItems.of(collection.item, num_items=num_items))


def chosen_method(
    distance: str | None, options: MatchOptions, *, num_left: int, num_right: int
) -> Method:
    """How the pairs of a model are searched.

    Args:
        distance: What the head of the model computes; None: something else.
        options: What is looked for.
        num_left: Items of the left side.
        num_right: Items of the right side; the same within a collection.
    """
    if options.method is not None:
        return options.method
    if distance is None and num_left * num_right <= MOST_EXACT_PAIRS:
        return "exact"
    if max(num_left, num_right) > MOST_EXACT_ITEMS:
        return "index"
    return "candidates" if distance is None else "exact"


def find_matches(
    model: Model,
    left: Embedded,
    right: Embedded,
    *,
    options: MatchOptions,
    progress: Progress | None = None,
) -> Found:
    """Searches the matches of two collections; of one if both are the same object.

    Args:
        model: The model.
        left: The left collection.
        right: The right collection.
        options: What is looked for.
        progress: Told of the work as it is done.

    Raises:
        ConfigError: An index is wanted and its extra is not installed.
    """
    comparison = comparison_of(model, left, right, threshold=options.threshold, top=options.top)
    method = chosen_method(
        model.distance,
        options,
        num_left=len(left.embedding_ND),
        num_right=len(right.embedding_ND),
    )
    searching = _progress_of(progress, "comparing", total=len(left.embedding_ND))
    if method == "exact":
        search = exact_search(model, comparison)
        blocks = near_pairs(search, progress=searching)
        items = (matching_items(block, comparison) for block in blocks)
        return Found(
            matches(items, comparison, directed=not search.is_once), method, recall=None
        )
    blocks = _candidates(model, comparison, method, options=options, progress=progress)
    sample = RecallSample.draw(comparison, seed=options.seed)
    watched = sample.watched(matching_items(block, comparison) for block in blocks)
    return Found(matches(watched, comparison, directed=True), method, sample.measure)


def exact_search(model: Model, comparison: Comparison) -> Search:
    """The search for all that could have a score as high as the threshold.

    With a head that is no distance, any pair could.
    """
    own = own_candidates(comparison)
    is_once = comparison.is_within and comparison.top is None
    if model.distance is None:
        left, right = compared_vectors(
            comparison.left_ND, comparison.right_MD, distance="cosine"
        )
        return Search(left, right, own=own, is_once=is_once)
    head = distance_head(model)
    left, right = compared_vectors(
        comparison.left_ND,
        comparison.right_MD,
        distance=head.distance,
        rounding=head.rounding,
    )
    at_least = head.similarity_at(comparison.threshold)
    return Search(left, right, at_least=at_least, top=comparison.top, own=own, is_once=is_once)


def own_candidates(comparison: Comparison) -> IntArray | None:
    """Within one collection, the item that each item is not compared with."""
    return np.arange(len(comparison.left_ND)) if comparison.is_within else None


def _candidates(
    model: Model,
    comparison: Comparison,
    method: Method,
    *,
    options: MatchOptions,
    progress: Progress | None,
) -> Iterator[Block]:
    """The nearest items of each item, which may match whatever their distance is."""
    top = max(options.num_candidates, options.top or 0)
    own, distance = own_candidates(comparison), distance_of(model)
    searching = _progress_of(progress, "comparing", total=len(comparison.left_ND))
    if method == "candidates":
        left, right = compared_vectors(
            comparison.left_ND, comparison.right_MD, distance=distance
        )
        return near_pairs(Search(left, right, top=top, own=own), progress=searching)
    index = NeighbourIndex.build(
        comparison.right_MD,
        distance=distance,
        progress=_progress_of(progress, "indexing", total=len(comparison.right_MD)),
    )
    return index.search(comparison.left_ND, top=top, own=own, progress=searching)


def _progress_of(
    progress: Progress | None, text: str, *, total: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(text, done, total)
