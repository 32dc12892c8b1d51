"""The quality of parts of a split: pairs of a class, of a group, or of a length. P pairs.

A part is measured only if it has enough pairs of each label and enough identities for an
interval, and it is called worse than the whole only if its interval lies below the whole's
value after a correction for how many parts were looked at::

    found = slice_quality(pairs, parts=[...], measures=Measures(), overall=0.97, seed=0)
    found[0].is_worse  # parts that are worse come first
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable, PairTable
from job.evaluation.identities import Identities
from job.evaluation.intervals import Interval, Measures, metric_spreads
from job.evaluation.weighted import Judged
from job.preprocessing.ragged import RaggedArray, offsets_of

IntArray = NDArray[np.int64]

# Those metrics of a split that small parts have as well.
SHOWN = ("balanced_accuracy", "roc_auc", "precision", "recall", "accuracy")
# Parts with fewer pairs of either label are not measured.
MIN_PAIRS = 20
# At most so many classes and groups are measured: those with the most pairs.
MAX_PARTS_OF_A_KIND = 50
_NUM_LENGTHS = 4
_NUM_REPLICATES = 400


@dataclass(frozen=True)
class SliceQuality:
    """The quality of some pairs of a split.

    Attributes:
        name: Which part, as `12 to 20`, or the name of the class or the group.
        group: What it is a part by: `class`, `group` or `length`.
        num_pairs: Its pairs.
        num_positive: Its matches.
        metrics: By name; `balanced_accuracy` is the mean of the shares of matches and of
            non-matches that are decided correctly, which does not depend on their number.
        intervals: The 95 % intervals of the metrics.
        is_worse: Whether its balanced accuracy is below that of all pairs, beyond chance.
    """

    name: str
    group: str
    num_pairs: int
    num_positive: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    is_worse: bool = False


@dataclass(frozen=True, eq=False)
class Part:
    """Some pairs of a split.

    Attributes:
        name: Which part.
        group: What it is a part by.
        chosen: bool (P,).
        identities: Of all P pairs; what is resampled for this part.
    """

    name: str
    group: str
    chosen: NDArray[np.bool_]
    identities: Identities


def parts_of(pairs: PairTable, items: ItemTable, identities: Identities) -> list[Part]:
    """The parts of a split with enough pairs: by class, group, and length of the longer item.

    The pairs of a class are those with an item of it. They all share this identity, so what is
    resampled for them is items.
    """
    return [
        part
        for part in (
            *_classes(pairs, items),
            *_groups(pairs, identities),
            *_lengths(pairs, items, identities),
        )
        if min(np.bincount(pairs.label[part.chosen], minlength=2)) >= MIN_PAIRS
    ]


def slice_quality(
    judged: Judged, *, parts: Sequence[Part], measures: Measures, overall: float, seed: int
) -> list[SliceQuality]:
    """Measures parts of a split, the worst first; those of too few identities are left out.

    Args:
        judged: All P pairs.
        parts: From `parts_of`.
        measures: What is measured.
        overall: Balanced accuracy of all pairs.
        seed: Of the random draws.
    """
    found = []
    for part in parts:
        pairs, identities = judged.take(part.chosen), part.identities.take(part.chosen)
        spreads = metric_spreads(
            pairs, identities, measures=measures, seed=seed, num_replicates=_NUM_REPLICATES
        )
        if "balanced_accuracy" not in spreads:
            continue
        # Bonferroni: of 20 equally good parts one would lie outside its 95 % interval.
        limit = spreads["balanced_accuracy"].interval(level=1.0 - 0.05 / len(parts))[1]
        shown = {name: spreads[name] for name in SHOWN if name in spreads}
        found.append(
            SliceQuality(
                name=part.name,
                group=part.group,
                num_pairs=len(pairs),
                num_positive=int(pairs.is_match.sum()),
                metrics={name: spread.value for name, spread in shown.items()},
                intervals={name: spread.interval() for name, spread in shown.items()},
                is_worse=limit < overall,
            )
        )
    return sorted(found, key=lambda it: (not it.is_worse, it.metrics["balanced_accuracy"]))


def _classes(pairs: PairTable, items: ItemTable) -> Iterator[Part]:
    if items.item_class is None:
        return
    left, right = items.item_class[pairs.left], items.item_class[pairs.right]
    by_item = Identities.of(pairs.left, pairs.right)
    for number in _largest(np.concatenate([left, right[right != left]])):
        chosen = (left == number) | (right == number)
        yield Part(items.class_name(number), "class", chosen, by_item)


def _groups(pairs: PairTable, identities: Identities) -> Iterator[Part]:
    groups = pairs.groups
    if groups is not None:
        for number in _largest(groups.number):
            chosen = groups.number == number
            yield Part(groups.names.text(number), "group", chosen, identities)


def _largest(numbers: IntArray) -> list[int]:
    """The numbers that occur most often, at most MAX_PARTS_OF_A_KIND; -1 stands for none."""
    known, size = np.unique(numbers[numbers >= 0], return_counts=True)
    largest: list[int] = known[np.argsort(-size, kind="stable")[:MAX_PARTS_OF_A_KIND]].tolist()
    return largest


def _lengths(pairs: PairTable, items: ItemTable, identities: Identities) -> Iterator[Part]:
    if items.kind == "image":
        return
    length = _lengths_of(items, pairs.items())
    place = np.searchsorted(pairs.items(), np.stack([pairs.left, pairs.right]))
    longer = length[place].max(axis=0)
    edges = np.unique(
        np.quantile(longer, np.arange(_NUM_LENGTHS) / _NUM_LENGTHS, method="lower")
    )
    number = np.searchsorted(edges, longer, side="right") - 1
    for which in range(len(edges)):
        chosen = number == which
        if len(edges) > 1 and chosen.any():
            low, high = int(longer[chosen].min()), int(longer[chosen].max())
            name = f"{low}" if low == high else f"{low} to {high}"
            yield Part(name, "length", chosen, identities)


def _lengths_of(items: ItemTable, rows: IntArray) -> IntArray:
    """Characters of texts, steps of sequences, int64 (R,)."""
    if items.kind != "text":
        return items.values.lengths_of(rows)
    texts = items.values
    return np.concatenate([_num_characters(texts.take(some)) for some in texts.chunks(rows)])


def _num_characters(texts: RaggedArray) -> IntArray:
    # All bytes begin a character but 10xxxxxx.
    begins = (texts.values.astype(np.uint8) & 0xC0) != 0x80
    return np.diff(offsets_of(begins.astype(np.int64))[texts.offsets])
