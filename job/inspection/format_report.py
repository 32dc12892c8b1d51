"""The result of `data inspect` as one page for a person."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from job.inspection.duplicates import Matrix
from job.inspection.issues import Finding
from job.inspection.measure import Inspection, SplitInspection
from job.telemetry.terminal import aligned_columns
from job.types import Split

_table = partial(aligned_columns, first_width=24)
_WIDTH = 96
_ROWS_SHOWN = 10
_TOKENS_SHOWN = 10
_SCRIPTS_SHOWN = 3
_FEATURES_SHOWN = 10

# From here on, hardly a pair is ranked wrongly.
_SOLVED_ROC_AUC = 0.99


def format_report(inspection: Inspection, *, findings: Sequence[Finding]) -> str:
    """The inspection as text that ends in a line feed.

    Args:
        inspection: Of the data set.
        findings: From `find_issues`.
    """
    blocks = (
        f"{inspection.num_items:,} distinct {inspection.kind}s, fingerprint "
        f"{inspection.fingerprint[:16]}",
        _pairs(inspection),
        _classes(inspection),
        _lengths(inspection),
        "\n".join(_item_notes(inspection)),
        "\n".join(_duplicates(inspection)),
        _untrained(inspection),
        _quarantined(inspection),
        _found(findings),
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def _pairs(inspection: Inspection) -> str:
    drawn = inspection.has_drawn_pairs
    rows = [
        (
            "train (drawn)" if drawn and split == "train" else split,
            f"{it.counts.pairs:,}",
            f"{it.counts.positive:,}",
            f"{it.counts.negative:,}",
            f"{it.counts.positive / it.counts.pairs:.1%}",
            f"{it.counts.items:,}",
        )
        for split, it in inspection.splits.items()
    ]
    return _table(("pairs", "all", "matches", "non-matches", "matching", "items"), rows)


def _classes(inspection: Inspection) -> str:
    rows = [
        (
            split,
            f"{it.num_classes:,}",
            f"{it.least:,}",
            f"{it.median:,g}",
            f"{it.most:,}",
            f"{it.num_single:,}",
            "-" if split == "train" else f"{it.num_in_training:,}",
        )
        for split, it in ((name, split.classes) for name, split in inspection.splits.items())
        if it is not None
    ]
    header = ("classes", "all", "least items", "median", "most", "single item", "in train")
    if not rows:
        return ""
    known = [row[0] for row in rows[1:] if row[-1] == row[1]]
    text = _table(header, rows)
    if known:
        text += (
            f"\n  Training has every class of {' and '.join(known)}: scores there say nothing "
            "about new classes."
        )
    return text


def _lengths(inspection: Inspection) -> str:
    unit = "time steps" if inspection.kind == "sequence" else "characters"
    rows = [
        (split, *(f"{round(n, 1):g}" for n in (it.min, it.median, it.p90, it.p99, it.max)))
        for split, it in ((name, split.lengths) for name, split in inspection.splits.items())
        if it is not None
    ]
    header = (f"{unit} per item", "min", "median", "90 %", "99 %", "max")
    return _table(header, rows) if rows else ""


def _item_notes(inspection: Inspection) -> Iterator[str]:
    """Lines about the items that only one kind has."""
    for split, it in inspection.splits.items():
        if it.texts is not None:
            scripts = [
                f"{name} {share:.1%}"
                for name, share in list(it.texts.scripts.items())[:_SCRIPTS_SHOWN]
            ]
            yield (
                f"{split}: {it.texts.mean_words:.1f} words per text; "
                f"{it.texts.num_distinct_characters:,} different characters; letters: "
                f"{', '.join(scripts) or 'none'}"
            )
    for split, it in inspection.splits.items():
        # Every character of training is known; only frequent words are.
        if it.tokens is not None and (split != "train" or it.tokens.num_unknown):
            yield f"unknown {it.tokens.kind}, {split}: {_unknown(it)}"
    for split, it in inspection.splits.items():
        if it.plain_images is not None:
            plain = it.plain_images
            yield (
                f"images of a single colour, {split}: {plain.num_plain:,} of "
                f"{plain.num_images:,} inspected"
            )
    features = inspection.features
    if features is not None and features.constant:
        shown = ", ".join(map(str, features.constant[:_FEATURES_SHOWN]))
        more = ", ..." if len(features.constant) > _FEATURES_SHOWN else ""
        yield (
            f"constant in training: {len(features.constant):,} of {features.num_features:,} "
            f"features ({shown}{more})"
        )


def _unknown(it: SplitInspection) -> str:
    tokens = it.tokens
    if tokens is None or not tokens.num_unknown:
        return "none"
    # `repr`: a control character must not reach the terminal.
    shown = " ".join(map(repr, tokens.commonest[:_TOKENS_SHOWN]))
    more = " ..." if tokens.num_distinct > _TOKENS_SHOWN else ""
    return (
        f"{tokens.num_distinct:,} in {tokens.num_items:,} of {it.counts.items:,} items, "
        f"{tokens.share:.2%} of all: {shown}{more}"
    )


def _duplicates(inspection: Inspection) -> Iterator[str]:
    """One line for each kind of duplicate; only counts above zero."""
    for title, name in (
        ("repeated pairs", "num_duplicates"),
        ("mirrored pairs", "num_mirrored"),
        ("pairs with both labels", "num_contradictory"),
        ("pairs of an item with itself", "num_identical"),
    ):
        counts = {
            split: getattr(it.odd, name)
            for split, it in inspection.splits.items()
            if it.odd is not None
        }
        yield f"{title}: {_counts(counts)}"
    yield f"items in two splits: {_counts(_between(inspection.shared_items))}"
    equal = inspection.equal_items
    within: dict[str, int] = {split: equal[split][split] for split in equal}
    contradictory = inspection.num_contradictory_items
    classes = f"; {contradictory:,} with several classes" if contradictory else ""
    yield f"equal items under two names: {_counts(within | _between(equal))}{classes}"


def _between(matrix: Matrix) -> dict[str, int]:
    splits: list[Split] = list(matrix)
    return {
        f"{one} and {other}": matrix[one][other]
        for position, one in enumerate(splits)
        for other in splits[position + 1 :]
    }


def _counts(counts: Mapping[Any, int]) -> str:
    return (
        ", ".join(f"{count:,} in {where}" for where, count in counts.items() if count) or "none"
    )


def _untrained(inspection: Inspection) -> str:
    it, baselines = inspection.one_sided, inspection.baselines
    rows = [
        (name.replace("_", " "), *(f"{measured[name]:.3f}" for measured in baselines.values()))
        for name in next(iter(baselines.values()))
    ]
    for side, roc_auc in (("left", it.left), ("right", it.right)):
        if roc_auc is not None:
            cells = [f"{roc_auc:.3f}" if split == it.split else "-" for split in baselines]
            rows.append((f"{side} item alone", *cells))
    text = _table(("ROC-AUC without training", *baselines), rows)
    if it.left is None:
        text += "\n  One item alone: not measured, the pairs of a split have one label only."
    if max(max(measured.values()) for measured in baselines.values()) >= _SOLVED_ROC_AUC:
        text += (
            "\n  A baseline solves these pairs, so they cannot show what a model adds."
            "\n  Add non-matches that resemble each other."
        )
    return text


def _quarantined(inspection: Inspection) -> str:
    quarantine = inspection.quarantine
    if not quarantine.num_bad:
        return f"bad rows: none of {quarantine.rows_read:,}"
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(quarantine.counts.items()))
    head = f"bad rows: {quarantine.num_bad:,} of {quarantine.rows_read:,} ({reasons})"
    shown = [f"  {_printable(str(row))}" for row in quarantine.samples[:_ROWS_SHOWN]]
    more = quarantine.num_bad - len(shown)
    return "\n".join([head, *shown, *([f"  and {more:,} more"] if more else [])])


def _printable(text: str) -> str:
    """Escapes what a terminal would interpret: it may be part of a file name."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _found(findings: Sequence[Finding]) -> str:
    if not findings:
        return "findings: none"
    lines = [
        textwrap.fill(str(finding), _WIDTH, initial_indent="  ", subsequent_indent="    ")
        for finding in findings
    ]
    return "\n".join(["findings (with --strict: exit code 3)", *lines])
