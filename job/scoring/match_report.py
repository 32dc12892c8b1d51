"""What a person reads when `match` is done. No TensorFlow."""

from collections.abc import Mapping
from typing import Any

from job.scoring.recall import Recall
from job.types import Json

_HOW = {
    "exact": "every pair was compared; none is missed",
    "candidates": "the {candidates} nearest items of each item were scored",
    "index": "an index found the {candidates} nearest items of each item, which were scored",
}


def recall_record(recall: Recall | None) -> Json:
    """A measured recall as JSON; None: nothing is missed, or nothing was there to be found."""
    if recall is None:
        return None
    return {
        "share": recall.share if recall.true else None,
        "interval": list(recall.interval) if recall.true else None,
        "found": recall.found,
        "true": recall.true,
        "items": recall.items,
        "items_with_match": recall.items_with_match,
    }


def matches_screen(report: Mapping[str, Any]) -> list[str]:
    """The result of a search, as lines."""
    left, right = report["left"], report["right"]
    of = f"{left['rows']:,} rows"
    if right:
        of += f" and {right['rows']:,} rows"
    lines = [
        f"compared {of} in {report['seconds']:.1f} s",
        f"{report['matches']:,} matches: their score is at least {report['threshold']:.4f}",
        _HOW[report["method"]].format(candidates=report["candidates"]),
    ]
    if report["recall"]:
        lines.append(_recall_sentence(report["recall"]))
    if groups := report["groups"]:
        lines.append(
            f"{groups['groups']:,} groups of matching rows; {groups['grouped_rows']:,} rows "
            f"are in one, the largest has {groups['largest']:,}"
        )
    return lines


def to_label_screen(report: Mapping[str, Any]) -> list[str]:
    """What was chosen to be labelled, as lines."""
    pairs, doubtful = report["pairs"], report["near_threshold"]
    if not pairs:
        return ["there is no pair to label: give two items or more that differ"]
    return [
        f"chose {pairs:,} pairs to label in {report['seconds']:.1f} s",
        f"{doubtful:,} have a score near the threshold {report['threshold']:.4f}; the others "
        "are nearest neighbours of items drawn at random",
        "write 1 (match) or 0 into the column of the label, then add the file to data.train",
    ]


def _recall_sentence(recall: Mapping[str, Any]) -> str:
    if recall["share"] is None:
        return (
            f"recall unknown: none of {recall['items']:,} items that were compared with every "
            "item has a match"
        )
    low, high = recall["interval"]
    return (
        f"recall {recall['share']:.1%} (95 % interval {low:.1%} to {high:.1%}): "
        f"{recall['found']:,} of the {recall['true']:,} matches of {recall['items']:,} items "
        "that were compared with every item were found"
    )
