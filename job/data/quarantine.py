"""Rows that cannot be used: kept out, counted, named, and too many of them an error.

`sources` decides that a row is bad; this module remembers it and judges the file::

    bad = BadRow("a.csv", 7, "label", "label must be 0 or 1, got '2'", "['a', 'b', '2']")
    require_tolerable(
        Quarantine(100, {"label": 1}, (bad,)), key="data.train", file="a.csv", allowed=0.01
    )
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from job.errors import DataError
from job.types import Json

Reason = Literal[
    "label",
    "empty",
    "too_long",
    "missing",
    "undecodable",
    "malformed",
    "format",
    "damaged",
    "too_large",
]

SAMPLES_KEPT = 10
SAMPLE_CHARACTERS = 60
_SHOWN_IN_ERROR = 3

_ADVICE: Mapping[Reason, str] = {
    "label": "Write 1 for a match and 0 for none, or name another column: data.columns.label.",
    "empty": "Fill in or remove the rows without an item.",
    "too_long": "Raise data.max_length, or shorten the texts.",
    "missing": "Name the columns in data.columns, or complete the rows.",
    "undecodable": "Save the file as UTF-8.",
    "malformed": "Correct the rows; a text that holds a separator or a quote must be quoted.",
    "format": "Convert the pictures to PNG, or to JPEG in RGB or grey.",
    "damaged": "Copy or export the pictures again.",
    "too_large": "Raise data.max_pixels, or make the pictures smaller.",
}


@dataclass(frozen=True)
class BadRow:
    """One row that was kept out.

    Attributes:
        file: The file as the configuration names it.
        line: Line on which the row begins, counted from 1 as `sed -n 7p` does, header included.
        reason: Which kind of fault, for counting.
        detail: What was received and what is allowed.
        sample: The beginning of the row as a Python literal, at most SAMPLE_CHARACTERS long.
    """

    file: str
    line: int
    reason: Reason
    detail: str
    sample: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.detail} in {self.sample}"


@dataclass(frozen=True)
class Quarantine:
    """What was kept out of one or several files.

    Attributes:
        rows_read: All rows, good and bad; header and blank lines are none.
        counts: Bad rows by reason; reasons that did not occur are absent.
        samples: The first SAMPLES_KEPT bad rows of each file.
    """

    rows_read: int
    counts: Mapping[Reason, int]
    samples: tuple[BadRow, ...]

    @property
    def num_bad(self) -> int:
        return sum(self.counts.values())

    def __add__(self, other: "Quarantine") -> "Quarantine":
        counts = Counter(self.counts) + Counter(other.counts)
        return Quarantine(
            self.rows_read + other.rows_read, dict(counts), self.samples + other.samples
        )

    def to_json(self) -> Json:
        return {
            "rows_read": self.rows_read,
            "bad": self.num_bad,
            "counts": dict(sorted(self.counts.items())),
            "samples": [
                {
                    "file": row.file,
                    "line": row.line,
                    "reason": row.reason,
                    "detail": row.detail,
                    "sample": row.sample,
                }
                for row in self.samples
            ],
        }


NOTHING_QUARANTINED = Quarantine(0, {}, ())


def sample_of(row: object) -> str:
    """The beginning of a row as a printable literal of at most SAMPLE_CHARACTERS."""
    literal = repr(row)
    if len(literal) <= SAMPLE_CHARACTERS:
        return literal
    return literal[: SAMPLE_CHARACTERS - 4] + "...'"


def require_tolerable(quarantine: Quarantine, *, key: str, file: str, allowed: float) -> None:
    """Refuses a file of which too many rows are bad, or all of them.

    Args:
        quarantine: What was found in this one file.
        key: Dotted key the file was given under.
        file: The file as the configuration names it.
        allowed: `data.max_bad_fraction`.

    Raises:
        DataError: More than `allowed` of the rows are bad, or not one is good.
    """
    bad, rows = quarantine.num_bad, quarantine.rows_read
    if bad == 0 or (bad < rows and bad / rows <= allowed):
        return
    if bad == rows:
        what = f"every one of the {rows} rows of {file!r} is bad"
    else:
        what = (
            f"{bad} of the {rows} rows of {file!r} are bad ({bad / rows:.2%}), more than "
            f"data.max_bad_fraction allows ({allowed:.2%})"
        )
    raise DataError("\n  ".join([f"{key}: {what}:", *_first(quarantine), _advice(quarantine)]))


def _first(quarantine: Quarantine) -> Sequence[str]:
    shown = [str(row) for row in quarantine.samples[:_SHOWN_IN_ERROR]]
    left = quarantine.num_bad - len(shown)
    return [*shown, f"and {left} more"] if left else shown


def _advice(quarantine: Quarantine) -> str:
    commonest = max(quarantine.counts, key=lambda reason: quarantine.counts[reason])
    advice = _ADVICE[commonest]
    if quarantine.num_bad < quarantine.rows_read:
        advice += " Or raise data.max_bad_fraction to leave such rows out."
    return advice
