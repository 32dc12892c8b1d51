"""What is wrong with a data set, by names that scripts may rely on (docs/inspect.md).

A finding says that a score on these data would mislead, or that the data contradict
themselves; what is merely good to know is no finding.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Literal, TypeAlias

from job.config.data import DataConfig
from job.inspection.measure import Inspection
from job.types import SPLITS, Json, Split

FindingName = Literal[
    "bad_rows",
    "few_pairs",
    "contradictory_pairs",
    "identical_negatives",
    "contradictory_items",
    "shared_items",
    "equal_items",
    "shared_classes",
    "few_classes",
    "unknown_tokens",
    "constant_features",
    "extreme_values",
    "one_sided",
]

# Below this many of either label, a ROC-AUC of 0.5 is only known to about +- 0.06.
FEW_PAIRS = 50
# Measured: with 6 or 7 training classes a model was no better on unseen ones than comparing
# pixels or numbers, with 36 it was. Where between the line lies is a guess.
FEW_CLASSES = 30
# Tokens that say nothing are like words blacked out; one in twenty is felt.
UNKNOWN_SHARE = 0.05
# Measurements lie within some ten deviations; a placeholder such as -9999 does not.
EXTREME_DEVIATIONS = 100.0
# Above this, one side alone tells so much that a model may never look at the other.
ONE_SIDED_ROC_AUC = 0.65
# Few pairs reach that by chance: it has to be this many standard deviations above 0.5 as well.
_ONE_SIDED_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        name: Which rule found it.
        split: Where; None: in the data as a whole.
        detail: How much of it, and what to do, as one line.
    """

    name: FindingName
    split: Split | None
    detail: str

    def __str__(self) -> str:
        where = "" if self.split is None else f" ({self.split})"
        return f"{self.name}{where}: {self.detail}"

    def to_json(self) -> Json:
        return asdict(self)


_Found: TypeAlias = Iterator[Finding]


def find(inspection: Inspection, *, section: DataConfig) -> list[Finding]:
    """What is wrong with a data set, in the order of its names above.

    Args:
        inspection: Of the data set.
        section: The data section it was made from.
    """
    rules: Iterable[Callable[[Inspection], _Found]] = (
        _bad_rows,
        _few_pairs,
        _odd_pairs,
        _items,
        lambda it: _classes(it, section=section),
        _tokens,
        _features,
        _one_sided,
    )
    return [finding for rule in rules for finding in rule(inspection)]


def _bad_rows(inspection: Inspection) -> _Found:
    bad, rows = inspection.quarantine.num_bad, inspection.quarantine.rows_read
    if bad:
        yield Finding(
            "bad_rows", None, f"rows kept out: {bad:,} of {rows:,}; correct or remove them"
        )


def _few_pairs(inspection: Inspection) -> _Found:
    for split, it in inspection.splits.items():
        if split == "train" and inspection.has_drawn_pairs:
            continue
        positive, negative = it.counts.positive, it.counts.negative
        if min(positive, negative) < FEW_PAIRS:
            yield Finding(
                "few_pairs",
                split,
                f"{positive:,} matches and {negative:,} non-matches; with fewer than "
                f"{FEW_PAIRS} of either, scores are mostly chance",
            )


def _odd_pairs(inspection: Inspection) -> _Found:
    # Drawn pairs contradict one another where items do, which is said of the items.
    if inspection.has_drawn_pairs:
        return
    for split, it in inspection.splits.items():
        if it.odd.num_contradictory:
            yield Finding(
                "contradictory_pairs",
                split,
                f"pairs that occur with both labels: {it.odd.num_contradictory:,}; decide "
                "which label holds",
            )
    for split, it in inspection.splits.items():
        if it.odd.num_identical_negative:
            yield Finding(
                "identical_negatives",
                split,
                "pairs of an item with itself that are said not to match: "
                f"{it.odd.num_identical_negative:,}; remove them",
            )


def _items(inspection: Inspection) -> _Found:
    if inspection.num_contradictory_items:
        yield Finding(
            "contradictory_items",
            None,
            f"equal items of different classes: {inspection.num_contradictory_items:,}; decide "
            "which class holds",
        )
    for one, other in _two_splits(inspection):
        shared = inspection.shared_items[one][other]
        if shared:
            yield Finding(
                "shared_items",
                other,
                f"items that {one} holds too: {shared:,} of "
                f"{inspection.splits[other].counts.items:,}, which flatters scores; keep each "
                "in one split, or have them cut by data.split.by: identity",
            )
    for one, other in _two_splits(inspection):
        equal = inspection.equal_items[one][other]
        if equal:
            yield Finding(
                "equal_items",
                other,
                f"items that {one} holds too, under other names: {equal:,}, which flatters "
                "scores; keep one of each",
            )


def _classes(inspection: Inspection, *, section: DataConfig) -> _Found:
    training = inspection.splits["train"].classes
    if training is None:
        return
    has_new_classes = False
    for split, it in inspection.splits.items():
        if it.classes is None or split == "train":
            continue
        known, total = it.classes.num_in_training, it.classes.num_classes
        has_new_classes |= known < total
        if 0 < known < total and not _straddles_on_purpose(section, split):
            yield Finding(
                "shared_classes",
                split,
                f"classes that train holds too: {known:,} of {total:,}, so that scores answer "
                "two questions at once; give all of them to train, or none",
            )
    if has_new_classes and training.num_classes < FEW_CLASSES:
        yield Finding(
            "few_classes",
            "train",
            f"{training.num_classes:,} classes (6 or 7 overfit, 36 worked in our "
            "measurements): scores on unseen classes will disappoint; add classes",
        )


def _tokens(inspection: Inspection) -> _Found:
    for split, it in inspection.splits.items():
        if it.tokens is not None and it.tokens.share > UNKNOWN_SHARE and split != "train":
            yield Finding(
                "unknown_tokens",
                split,
                f"{it.tokens.share:.1%} of the {it.tokens.kind} are unknown from training, "
                f"more than {UNKNOWN_SHARE:.0%}; train on texts like these",
            )


def _features(inspection: Inspection) -> _Found:
    features = inspection.features
    if features is None:
        return
    if features.num_constant_elsewhere:
        yield Finding(
            "constant_features",
            "train",
            "features that never change in training but do elsewhere: "
            f"{features.num_constant_elsewhere:,}; leave them out, or train on data where they "
            "change",
        )
    for split, it in features.furthest.items():
        if it is not None and it.deviations > EXTREME_DEVIATIONS:
            yield Finding(
                "extreme_values",
                split,
                f"{it.value:g} in feature {it.feature} is {it.deviations:,.0f} deviations from "
                f"the training mean, more than {EXTREME_DEVIATIONS:.0f}; if it stands for a "
                "gap, fill or cut it",
            )


def _one_sided(inspection: Inspection) -> _Found:
    it = inspection.one_sided
    for side, roc_auc in (("left", it.left), ("right", it.right)):
        if roc_auc is None or it.deviation is None:
            continue
        limit = max(ONE_SIDED_ROC_AUC, 0.5 + _ONE_SIDED_DEVIATIONS * it.deviation)
        if roc_auc > limit:
            what = (
                f"gives the label away (ROC-AUC {roc_auc:.3f}, more than {limit:.2f}), so a "
                "model can score well without comparing; let each item occur in matches and "
                "non-matches about equally often"
            )
        elif roc_auc < 1.0 - limit:
            what = (
                f"tells the opposite of the label (ROC-AUC {roc_auc:.3f}, less than "
                f"{1.0 - limit:.2f}): what training holds of an item decides what is left for "
                "validation; keep each item in one split"
            )
        else:
            continue
        yield Finding("one_sided", "validation", f"the {side} item alone {what}")


def _two_splits(inspection: Inspection) -> Iterator[tuple[Split, Split]]:
    return combinations([split for split in SPLITS if split in inspection.splits], 2)


def _straddles_on_purpose(section: DataConfig, split: Split) -> bool:
    """Whether the split was cut in a way that does not keep classes whole."""
    return getattr(section, split) is None and section.split.by != "identity"
