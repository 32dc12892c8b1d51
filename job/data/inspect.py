"""What a person should know about a dataset before training on it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.tokens import CharactersConfig
from job.data.probe import one_sided_auc
from job.data.quarantine import Quarantine
from job.data.ragged import RaggedArray, offsets_of
from job.data.tables import Dataset, PairTable
from job.data.vocabulary import UNKNOWN_ID, build_vocabulary
from job.types import Json, Split

_CHARACTERS_KEPT = 20


@dataclass(frozen=True)
class Lengths:
    """Characters of the items, each item counted once."""

    min: int
    median: float
    p90: float
    p99: float
    max: int


@dataclass(frozen=True)
class SplitInspection:
    """One split.

    Attributes:
        num_pairs: Pairs.
        num_positive: Pairs with label 1.
        num_negative: Pairs with label 0.
        num_items: Distinct items of these pairs.
        lengths: Of these items.
        num_duplicates: Pairs that repeat an earlier one: same left, right and label.
        num_mirrored: Pairs of different items that occur in both directions.
        num_contradictory: Pairs of items, direction aside, that occur with both labels.
        num_identical: Pairs whose two items are the same.
        num_unseen_characters: Distinct characters that no training item holds.
        unseen_characters: The first of them by code point.
        num_items_with_unseen: Items of this split that hold such a character.
    """

    num_pairs: int
    num_positive: int
    num_negative: int
    num_items: int
    lengths: Lengths
    num_duplicates: int
    num_mirrored: int
    num_contradictory: int
    num_identical: int
    num_unseen_characters: int
    unseen_characters: str
    num_items_with_unseen: int


@dataclass(frozen=True)
class Inspection:
    """A whole dataset.

    Attributes:
        kind: What an item is.
        num_items: Distinct items.
        fingerprint: sha256 of the content.
        splits: Each split by itself.
        shared_items: Items that two splits have in common; of a split with itself: its items.
        left_only_roc_auc: ROC-AUC on validation of guessing from the left item alone.
        right_only_roc_auc: The same from the right item.
        quarantine: Rows that were kept out.
    """

    kind: str
    num_items: int
    fingerprint: str
    splits: Mapping[Split, SplitInspection]
    shared_items: Mapping[Split, Mapping[Split, int]]
    left_only_roc_auc: float
    right_only_roc_auc: float
    quarantine: Quarantine

    def to_json(self) -> Json:
        return asdict(self) | {"quarantine": self.quarantine.to_json()}


def inspect_dataset(dataset: Dataset) -> Inspection:
    """Measures a dataset; reads nothing but its arrays."""
    items = {split: pairs.items() for split, pairs in dataset.pairs.items()}
    texts = dataset.items.values
    vocabulary = build_vocabulary(CharactersConfig(), items=texts, rows=items["train"])
    tokens = vocabulary.encode(texts)
    left, right = one_sided_auc(
        tokens, train=dataset.pairs["train"], held_out=dataset.pairs["validation"]
    )
    return Inspection(
        kind=dataset.kind,
        num_items=len(dataset.items),
        fingerprint=dataset.fingerprint,
        splits={
            split: _inspect_split(dataset, pairs, items[split], tokens=tokens)
            for split, pairs in dataset.pairs.items()
        },
        shared_items={
            one: {other: len(np.intersect1d(items[one], items[other])) for other in items}
            for one in items
        },
        left_only_roc_auc=left,
        right_only_roc_auc=right,
        quarantine=dataset.quarantine,
    )


def _inspect_split(
    dataset: Dataset, pairs: PairTable, items: NDArray[np.int64], *, tokens: RaggedArray
) -> SplitInspection:
    num_items = len(dataset.items)
    one_way = pairs.left * num_items + pairs.right
    smaller, larger = np.minimum(pairs.left, pairs.right), np.maximum(pairs.left, pairs.right)
    either_way = smaller * num_items + larger
    num_unknown = np.diff(offsets_of(tokens.values == UNKNOWN_ID)[tokens.offsets])
    unseen_items = items[num_unknown[items] > 0]
    unseen = _unseen_characters(dataset, unseen_items, tokens=tokens)
    return SplitInspection(
        num_pairs=len(pairs),
        num_positive=pairs.num_positive,
        num_negative=pairs.num_negative,
        num_items=len(items),
        lengths=_lengths(tokens.lengths[items]),
        num_duplicates=len(pairs) - len(np.unique(one_way * 2 + pairs.label)),
        num_mirrored=_num_common(
            either_way, pairs.left < pairs.right, pairs.left > pairs.right
        ),
        num_contradictory=_num_common(either_way, pairs.label == 1, pairs.label == 0),
        num_identical=int(np.count_nonzero(pairs.left == pairs.right)),
        num_unseen_characters=len(unseen),
        unseen_characters=unseen[:_CHARACTERS_KEPT],
        num_items_with_unseen=len(unseen_items),
    )


def _num_common(
    values: NDArray[np.int64], one: NDArray[np.bool_], other: NDArray[np.bool_]
) -> int:
    return len(np.intersect1d(values[one], values[other]))


def _unseen_characters(
    dataset: Dataset, items: NDArray[np.int64], *, tokens: RaggedArray
) -> str:
    found: set[str] = set()
    for row, text in zip(items.tolist(), dataset.items.texts(items), strict=True):
        unknown = np.flatnonzero(tokens.row(row) == UNKNOWN_ID)
        found.update(text[position] for position in unknown.tolist())
    return "".join(sorted(found))


def _lengths(lengths: NDArray[np.int64]) -> Lengths:
    median, p90, p99 = np.percentile(lengths, [50, 90, 99]).tolist()
    return Lengths(int(lengths.min()), median, p90, p99, int(lengths.max()))
