"""`siamese-job data inspect CONFIG`: what to know about the pairs before training on them."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from job.commands.data_access import data_access
from job.commands.plain_logs import logs_on_stderr
from job.commands.result import print_result
from job.config.load import load_config
from job.data.inspect import Inspection, inspect_dataset
from job.data.load import load_dataset
from job.errors import ExitCode

# Above this, one side alone tells so much that a model may never look at the other.
_ONE_SIDED_ROC_AUC = 0.65


def run(args: argparse.Namespace) -> ExitCode:
    """Runs `data inspect`."""
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    config = loaded.config
    # Its warnings are part of what is shown.
    with logs_on_stderr(config, level="ERROR"):
        dataset = load_dataset(
            config.data,
            folder=loaded.folder,
            seed=config.run.seed,
            access=data_access(config, env=os.environ),
        )
    inspection = inspect_dataset(dataset)
    if args.json:
        return print_result(json.dumps(inspection.to_json(), indent=2) + "\n")
    return print_result(screen(inspection))


def screen(inspection: Inspection) -> str:
    """The inspection as text for a person, ending in a line feed."""
    blocks = [
        f"{inspection.num_items:,} distinct items of kind {inspection.kind}, "
        f"fingerprint {inspection.fingerprint[:16]}",
        _pairs(inspection),
        _lengths(inspection),
        _oddities(inspection),
        _overlap(inspection),
        _unseen(inspection),
        _one_sided(inspection),
        _quarantined(inspection),
    ]
    return "\n\n".join(blocks) + "\n"


def _pairs(inspection: Inspection) -> str:
    rows = [
        (
            split,
            f"{it.num_pairs:,}",
            f"{it.num_positive:,}",
            f"{it.num_negative:,}",
            f"{it.num_positive / it.num_pairs:.1%}",
            f"{it.num_items:,}",
        )
        for split, it in inspection.splits.items()
    ]
    header = ("pairs", "all", "matches", "non-matches", "matching", "items")
    return _table(header, rows)


def _lengths(inspection: Inspection) -> str:
    rows = []
    for split, it in inspection.splits.items():
        lengths = it.lengths
        middle = (
            f"{round(value, 1):g}" for value in (lengths.median, lengths.p90, lengths.p99)
        )
        rows.append((split, str(lengths.min), *middle, str(lengths.max)))
    return _table(("characters of an item", "least", "median", "90 %", "99 %", "most"), rows)


def _oddities(inspection: Inspection) -> str:
    rows = [
        (
            split,
            f"{it.num_duplicates:,}",
            f"{it.num_mirrored:,}",
            f"{it.num_contradictory:,}",
            f"{it.num_identical:,}",
        )
        for split, it in inspection.splits.items()
    ]
    header = ("odd pairs", "repeated", "mirrored", "both labels", "item with itself")
    return _table(header, rows)


def _overlap(inspection: Inspection) -> str:
    rows = [
        (one, *("-" if one == other else f"{count:,}" for other, count in shared.items()))
        for one, shared in inspection.shared_items.items()
    ]
    return _table(("items shared with", *inspection.shared_items), rows)


def _unseen(inspection: Inspection) -> str:
    lines = ["characters that no training item holds"]
    for split, it in inspection.splits.items():
        if split == "train":
            continue
        what = "none"
        if it.num_unseen_characters:
            # `repr`: a control character must not reach the terminal.
            shown = " ".join(repr(character) for character in it.unseen_characters)
            more = " ..." if it.num_unseen_characters > len(it.unseen_characters) else ""
            items = f"{it.num_items_with_unseen:,} of {it.num_items:,} items"
            what = f"{it.num_unseen_characters:,} in {items}: {shown}{more}"
        lines.append(f"  {split}: {what}")
    return "\n".join(lines)


def _one_sided(inspection: Inspection) -> str:
    left, right = inspection.left_only_roc_auc, inspection.right_only_roc_auc
    text = (
        "guessing validation labels from one side alone (ROC-AUC, 0.5 = nothing to gain)\n"
        f"  left {left:.3f}, right {right:.3f}"
    )
    if max(left, right) > _ONE_SIDED_ROC_AUC:
        text += (
            "\n  One side gives the label away: a model can score well without comparing."
            "\n  Let each item occur in matches and in non-matches about equally often."
        )
    return text


def _quarantined(inspection: Inspection) -> str:
    quarantine = inspection.quarantine
    if not quarantine.num_bad:
        return f"bad rows: none of {quarantine.rows_read:,}"
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(quarantine.counts.items()))
    head = f"bad rows: {quarantine.num_bad:,} of {quarantine.rows_read:,} kept out ({reasons})"
    shown = [f"  {row}" for row in quarantine.samples]
    more = quarantine.num_bad - len(shown)
    return "\n".join([head, *shown, *([f"  and {more:,} more"] if more else [])])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their headings, the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    widths[0] = max(widths[0], 24)
    lines = []
    for first, *rest in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)
