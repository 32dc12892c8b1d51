"""What `data inspect` found, on one page for a person."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from job.inspection.chunking import Distribution
from job.inspection.classes import ClassCounts
from job.inspection.issues import FEW_CLASSES, Finding
from job.inspection.items import Matrix
from job.inspection.measure import Inspection, SplitInspection
from job.types import Kind, Split

_FIRST_COLUMN = 24


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their headings, the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    widths[0] = max(widths[0], _FIRST_COLUMN)
    lines = []
    for first, *rest in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


_ROWS_SHOWN = 10
_TOKENS_SHOWN = 10
_WIDTH = 96

# From here on, hardly a pair is in the wrong order.
_NOTHING_TO_GAIN = 0.99

_PLURAL: Mapping[Kind, str] = {"text": "texts", "sequence": "sequences", "image": "pictures"}


def format_report(
    inspection: Inspection,
    *,
    findings: Sequence[Finding],
    baselines: Mapping[Split, Mapping[str, float]],
) -> str:
    """The inspection as text, ending in a line feed.

    Args:
        inspection: Of the data set.
        findings: What is wrong with it.
        baselines: ROC-AUC of scores that need no learning, by split and name.
    """
    blocks = [
        f"{inspection.num_items:,} distinct items of kind {inspection.kind}, "
        f"fingerprint {inspection.fingerprint[:16]}",
        _pairs(inspection),
        _classes(inspection),
        _lengths(inspection),
        _pictures(inspection),
        _features(inspection),
        _oddities(inspection),
        _overlap(inspection),
        _copies(inspection),
        _unknown(inspection),
        _one_sided(inspection),
        _baselines(baselines),
        _quarantined(inspection),
        _found(findings),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _pairs(inspection: Inspection) -> str:
    rows = [
        (
            _name(inspection, split),
            f"{it.counts.pairs:,}",
            f"{it.counts.positive:,}",
            f"{it.counts.negative:,}",
            f"{it.counts.positive / it.counts.pairs:.1%}",
            f"{it.counts.items:,}",
        )
        for split, it in inspection.splits.items()
    ]
    text = table(("pairs", "all", "matches", "non-matches", "matching", "items"), rows)
    if inspection.has_drawn_pairs:
        number = inspection.splits["train"].num_looked_at
        text += (
            f"\n  Each epoch draws its own; the first {number:,} of the first are looked at."
        )
    return text


def _name(inspection: Inspection, split: Split) -> str:
    return "train, drawn" if split == "train" and inspection.has_drawn_pairs else split


def _classes(inspection: Inspection) -> str:
    classes = {
        split: it.classes for split, it in inspection.splits.items() if it.classes is not None
    }
    if not classes:
        return ""
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
        for split, it in classes.items()
    ]
    header = ("classes", "all", "least items", "median", "most", "of one item", "in train")
    return "\n".join([table(header, rows), *_class_notes(classes)])


def _class_notes(classes: Mapping[Split, ClassCounts]) -> Iterator[str]:
    number = classes["train"].num_classes
    if number < FEW_CLASSES:
        yield (
            f"  Training has {number}, fewer than {FEW_CLASSES}: 6 or 7 overfit, 36 worked in "
            "our measurements.\n  Scores on classes it never saw will disappoint."
        )
    known = [
        split
        for split, it in classes.items()
        if split != "train" and it.num_in_training == it.num_classes
    ]
    if known:
        yield (
            f"  Training has every class of {' and '.join(known)}: scores there say nothing of "
            "new classes."
        )


def _lengths(inspection: Inspection) -> str:
    unit = "time steps" if inspection.kind == "sequence" else "characters"
    rows = [
        (split, *_percentiles(it.lengths))
        for split, it in inspection.splits.items()
        if it.lengths is not None
    ]
    header = (f"{unit} of an item", "least", "median", "90 %", "99 %", "most")
    return table(header, rows) if rows else ""


def _pictures(inspection: Inspection) -> str:
    rows = [
        (
            split,
            *_percentiles(it.pictures.brightness),
            f"{it.pictures.num_plain:,}",
            f"{it.pictures.num_looked_at:,}",
        )
        for split, it in inspection.splits.items()
        if it.pictures is not None
    ]
    percentiles = ("least", "median", "90 %", "99 %", "most")
    header = ("brightness (0 to 255)", *percentiles, "of one colour", "looked at")
    return table(header, rows) if rows else ""


def _features(inspection: Inspection) -> str:
    features = inspection.features
    if features is None:
        return ""
    rows = [
        (split, f"{it.value:g}", str(it.feature), f"{it.deviations:,.1f}")
        for split, it in features.furthest.items()
        if it is not None
    ]
    header = ("furthest from the mean", "value", "feature", "training deviations")
    text = table(header, rows)
    if features.num_constant:
        shown = ", ".join(map(str, features.constant))
        more = ", ..." if features.num_constant > len(features.constant) else ""
        text += (
            f"\n  Never change in training: {features.num_constant:,} of "
            f"{features.num_features:,} features ({shown}{more})."
        )
    return text


def _oddities(inspection: Inspection) -> str:
    rows = [
        (
            _name(inspection, split),
            f"{it.odd.num_duplicates:,}",
            f"{it.odd.num_mirrored:,}",
            f"{it.odd.num_contradictory:,}",
            f"{it.odd.num_identical:,}",
        )
        for split, it in inspection.splits.items()
    ]
    header = ("odd pairs", "repeated", "mirrored", "both labels", "item with itself")
    return table(header, rows)


def _overlap(inspection: Inspection) -> str:
    return _matrix("items shared with", inspection.shared_items, diagonal=False)


def _copies(inspection: Inspection) -> str:
    """Equal items; texts of pair files are told apart by nothing but their content."""
    title = f"equal {_PLURAL[inspection.kind]}"
    counts = [n for others in inspection.equal_items.values() for n in others.values()]
    if not any(counts):
        is_by_content = inspection.kind == "text" and not inspection.has_drawn_pairs
        return "" if is_by_content else f"{title} under two names: none"
    text = _matrix(f"{title} in", inspection.equal_items, diagonal=True)
    if inspection.num_contradictory_items:
        text += f"\n  Of different classes: {inspection.num_contradictory_items:,} of them."
    return text


def _unknown(inspection: Inspection) -> str:
    lines: list[str] = []
    for split, it in inspection.splits.items():
        tokens = it.tokens
        # All characters of training are known; of its words only the frequent ones.
        if tokens is None or (split == "train" and not tokens.num_unknown):
            continue
        if not lines:
            lines.append(f"{tokens.kind} that are not known from training")
        lines.append(f"  {split}: {_unknown_of(it)}")
    return "\n".join(lines)


def _unknown_of(it: SplitInspection) -> str:
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


def _one_sided(inspection: Inspection) -> str:
    title = "guessing validation labels from one side alone (ROC-AUC, 0.5 = nothing to gain)"
    it = inspection.one_sided
    if it.left is None or it.right is None:
        return f"{title}\n  not asked: the pairs of training or validation have one label only"
    return f"{title}\n  left {it.left:.3f}, right {it.right:.3f}"


def _baselines(baselines: Mapping[Split, Mapping[str, float]]) -> str:
    names = next(iter(baselines.values()), {})
    if not names:
        return ""
    rows = [
        (name.replace("_", " "), *(f"{measured[name]:.3f}" for measured in baselines.values()))
        for name in names
    ]
    text = table(("ROC-AUC without learning", *baselines), rows)
    best = max(max(measured.values()) for measured in baselines.values())
    if best >= _NOTHING_TO_GAIN:
        text += (
            "\n  Told apart without learning, these pairs cannot show what a model adds."
            "\n  Non-matches that resemble each other can."
        )
    return text


def _quarantined(inspection: Inspection) -> str:
    quarantine = inspection.quarantine
    if not quarantine.num_bad:
        return f"bad rows: none of {quarantine.rows_read:,}"
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(quarantine.counts.items()))
    head = f"bad rows: {quarantine.num_bad:,} of {quarantine.rows_read:,} kept out ({reasons})"
    shown = [f"  {_printable(str(row))}" for row in quarantine.samples[:_ROWS_SHOWN]]
    more = quarantine.num_bad - len(shown)
    return "\n".join([head, *shown, *([f"  and {more:,} more"] if more else [])])


def _printable(text: str) -> str:
    """The text with what a terminal would obey written as escapes; a file may be named so."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _found(findings: Sequence[Finding]) -> str:
    if not findings:
        return "findings: none"
    lines = [
        textwrap.fill(str(finding), _WIDTH, initial_indent="  ", subsequent_indent="    ")
        for finding in findings
    ]
    return "\n".join(["findings (with --strict: exit code 3)", *lines])


def _percentiles(it: Distribution) -> list[str]:
    return [f"{round(value, 1):g}" for value in (it.min, it.median, it.p90, it.p99, it.max)]


def _matrix(title: str, matrix: Matrix, *, diagonal: bool) -> str:
    rows = [
        (
            one,
            *(
                "-" if one == other and not diagonal else f"{count:,}"
                for other, count in others.items()
            ),
        )
        for one, others in matrix.items()
    ]
    return table((title, *matrix), rows)
