"""Findings: what makes a score on these data mislead, or the data contradict themselves.

Scripts may rely on the names (docs/inspect.md). What is merely good to know is no finding.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, combinations
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
# Measured: with 6 or 7 training classes a model was no better on unseen ones than an untrained
# baseline, with 36 it was. The line between is a guess.
FEW_CLASSES = 30
# An unknown token is like a word blacked out; one in twenty is noticeable.
UNKNOWN_SHARE = 0.05
# Measurements lie within some ten deviations; a placeholder such as -9999 does not.
EXTREME_DEVIATIONS = 100.0
# Above this, one side alone predicts so much that a model may never look at the other.
ONE_SIDED_ROC_AUC = 0.65
# Few pairs reach that by chance: it must be this many standard deviations above 0.5 as well.
_ONE_SIDED_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        name: The rule that found it.
        split: The split that has it; None: the data as a whole.
        detail: What was found and what to do, as one line.
    """

    name: FindingName
    split: Split | None
    detail: str

    def __str__(self) -> str:
        where = "" if self.split is None else f" ({self.split})"
        return f"{self.name}{where}: {self.detail}"

    def to_json(self) -> Json:
        return asdict(self)


_Findings: TypeAlias = Iterator[Finding]


def find_issues(inspection: Inspection, *, section: DataConfig) -> list[Finding]:
    """The findings of a data set, in the order of their names above.

    Args:
        inspection: Of the data set.
        section: The data section it was made from.
    """
    return list(
        chain(
            _pairs(inspection),
            _items(inspection),
            _classes(inspection, section=section),
            _values(inspection),
            _one_sided(inspection),
        )
    )


def _pairs(inspection: Inspection) -> _Findings:
    bad, rows = inspection.quarantine.num_bad, inspection.quarantine.rows_read
    if bad:
        yield Finding("bad_rows", None, f"{bad:,} of {rows:,} rows; correct or remove them")
    # Drawn training pairs are as many as the configuration says. Drawn pairs contradict one
    # another where items do, which is a finding of the items.
    drawn = inspection.has_drawn_pairs
    for split, it in inspection.splits.items():
        positive, negative = it.counts.positive, it.counts.negative
        if min(positive, negative) < FEW_PAIRS and not (drawn and split == "train"):
            yield Finding(
                "few_pairs",
                split,
                f"{positive:,} matches and {negative:,} non-matches; with fewer than "
                f"{FEW_PAIRS} of either, scores are mostly chance; add pairs",
            )
    odd = {split: it.odd for split, it in inspection.splits.items() if it.odd and not drawn}
    for split, pairs in odd.items():
        if pairs.num_contradictory:
            yield Finding(
                "contradictory_pairs",
                split,
                f"{pairs.num_contradictory:,} pairs occur with both labels; decide which "
                "label is right",
            )
    for split, pairs in odd.items():
        if pairs.num_identical_negative:
            yield Finding(
                "identical_negatives",
                split,
                f"{pairs.num_identical_negative:,} pairs of an item with itself are labelled "
                "as non-matches; remove them",
            )


def _items(inspection: Inspection) -> _Findings:
    if inspection.num_contradictory_items:
        yield Finding(
            "contradictory_items",
            None,
            f"{inspection.num_contradictory_items:,} equal items have different classes; "
            "decide which class is right",
        )
    two_splits = list(combinations([name for name in SPLITS if name in inspection.splits], 2))
    for one, other in two_splits:
        shared = inspection.shared_items[one][other]
        if shared:
            yield Finding(
                "shared_items",
                other,
                f"{shared:,} of {inspection.splits[other].counts.items:,} items are in {one} "
                "too, which flatters scores; keep each in one split, or cut with "
                "data.split.by: identity",
            )
    for one, other in two_splits:
        equal = inspection.equal_items[one][other]
        if equal:
            yield Finding(
                "equal_items",
                other,
                f"{equal:,} items are in {one} under other names, which flatters scores; keep "
                "one of each",
            )


def _classes(inspection: Inspection, *, section: DataConfig) -> _Findings:
    training = inspection.splits["train"].classes
    has_new_classes = False
    for split, it in inspection.splits.items():
        if it.classes is None or split == "train":
            continue
        known, total = it.classes.num_in_training, it.classes.num_classes
        has_new_classes |= known < total
        # A split cut by row or group does not keep classes whole on purpose.
        was_cut = getattr(section, split) is None and section.split.by != "identity"
        if 0 < known < total and not was_cut:
            yield Finding(
                "shared_classes",
                split,
                f"{known:,} of {total:,} classes are in train too, so scores mix known and new "
                "classes; give all of them to train, or none",
            )
    if training is not None and has_new_classes and training.num_classes < FEW_CLASSES:
        yield Finding(
            "few_classes",
            "train",
            f"{training.num_classes:,} classes, fewer than {FEW_CLASSES} (6 or 7 overfit, 36 "
            "worked in our measurements): scores on new classes will disappoint; add classes",
        )


def _values(inspection: Inspection) -> _Findings:
    for split, it in inspection.splits.items():
        if it.tokens is not None and it.tokens.share > UNKNOWN_SHARE and split != "train":
            yield Finding(
                "unknown_tokens",
                split,
                f"{it.tokens.share:.1%} of the {it.tokens.kind} are unknown from training, "
                f"more than {UNKNOWN_SHARE:.0%}; train on texts like these",
            )
    features = inspection.features
    if features is None:
        return
    if features.num_constant_elsewhere:
        yield Finding(
            "constant_features",
            "train",
            f"{features.num_constant_elsewhere:,} features change in validation or test but "
            "never in training; leave them out, or train on data where they change",
        )
    for split, furthest in features.furthest.items():
        if furthest.deviations > EXTREME_DEVIATIONS:
            yield Finding(
                "extreme_values",
                split,
                f"{furthest.value:g} in feature {furthest.feature} is "
                f"{furthest.deviations:,.0f} deviations from the training mean, more than "
                f"{EXTREME_DEVIATIONS:.0f}; if it stands for a gap, fill or cut it",
            )


def _one_sided(inspection: Inspection) -> _Findings:
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
                f"predicts the opposite of the label (ROC-AUC {roc_auc:.3f}, less than "
                f"{1.0 - limit:.2f}): the pairs that training holds of an item determine those "
                "left for validation; keep each item in one split"
            )
        else:
            continue
        yield Finding("one_sided", it.split, f"the {side} item alone {what}")
