"""Rejected rows: counted, listed, and an error if there are too many.

The reader of a file decides that a row is bad; this module records it and checks the file::

    rejected = QuarantineBuilder("a.csv")
    for record in records:
        rejected.rows_read += 1
        if record.problem:
            rejected.reject(record.line, record.problem, raw=record.raw)
    check_bad_fraction(rejected.quarantine(), key="data.train", file="a.csv", allowed=0.01)
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from job.errors import DataError
from job.types import Json, Problem, Reason

log = logging.getLogger(__name__)

# The unit that counts rows: lines of a text file, rows of arrays, or files of a folder.
Unit = Literal["line", "row", "file"]

SAMPLES_KEPT = 1000  # of each file
SAMPLES_SHOWN = 3  # in a message or a line of the log
SAMPLE_CHARACTERS = 60

_ADVICE: Mapping[Reason, str] = {
    "label": "Write 1 for a match and 0 for none, or name another column: data.columns.label.",
    "class": "Give each item one class, or name another column: data.columns.item_class.",
    "split": "Write train, validation or test, or name another column: data.columns.split.",
    "empty": "Fill in or remove the empty rows.",
    "too_long": "Raise data.max_length, or shorten the items.",
    "too_large": "Make the items smaller, or raise data.max_pixels where that is the limit.",
    "missing": "Name the columns in data.columns, or complete the rows.",
    "undecodable": "Save the file as UTF-8, or replace the damaged files.",
    "malformed": "Correct the rows; quote texts that contain a separator or a quote.",
    "format": "Convert the files: images to PNG or JPEG, sequences to .npy.",
    "damaged": "Copy or export the images again.",
    "shape": "Save each sequence as numbers of the shape (time, features), all with as many "
    "features, or set data.num_features.",
    "not_finite": "Replace or remove NaN and infinity; fill gaps or cut them out.",
    "duplicate": "Give each item a unique ID.",
    "no_item": "Complete data.items, or name the column that holds the IDs: data.columns.",
    "no_file": "Give paths of files that exist, relative to data.root.",
    "outside": "Move the files below data.root, or set data.root to a folder that holds them.",
}
# A command scores with a model, which fixes the data section.
_ADVICE_OF_COMMANDS: Mapping[Reason, str] = {
    **_ADVICE,
    "label": "Write 1 for a match and 0 for none.",
    "too_long": "Shorten the items: the model takes none that are longer.",
    "too_large": "Make the items smaller.",
    "missing": "Complete the rows, or name their columns as those of training.",
    "shape": "Save each sequence as numbers of the shape (time, features), with as many "
    "features as the model takes.",
    "no_item": "Complete the file of items.",
    "no_file": "Give paths of files that exist, relative to --root.",
    "outside": "Move the files below --root, or give another folder that holds them.",
}


@dataclass(frozen=True)
class BadRow:
    """One rejected row.

    Attributes:
        file: The file as the configuration gives it, or one below a folder that it gives.
        line: Start of the row in `unit`, counted from 1.
        reason: Category of the fault.
        detail: What was received and what is allowed.
        sample: The beginning of the row as a Python literal, up to SAMPLE_CHARACTERS long;
            empty if `detail` suffices.
        unit: `line`: a line as `sed -n 7p` counts, header included. `row`: an entry of arrays.
            `file`: a file of a folder, by its sorted path.
    """

    file: str
    line: int
    reason: Reason
    detail: str
    sample: str
    unit: Unit = "line"

    def __str__(self) -> str:
        # A file of a folder is found by its name, not by its number.
        where = self.file if self.unit == "file" else f"{self.file} {self.unit} {self.line}"
        return f"{where}: {self.detail}" + (f" in {self.sample}" if self.sample else "")


@dataclass(frozen=True)
class Quarantine:
    """The rejected rows of one or several files.

    Attributes:
        rows_read: Number of all rows, valid and bad, without header and blank lines.
        counts: Number of bad rows by reason, without reasons that did not occur.
        samples: The first SAMPLES_KEPT bad rows of each file.
    """

    rows_read: int
    counts: Mapping[Reason, int]
    samples: tuple[BadRow, ...]

    @property
    def num_bad(self) -> int:
        return sum(self.counts.values())

    def shown(self) -> list[str]:
        """The first SAMPLES_SHOWN bad rows, for a message or a line of the log."""
        return [str(row) for row in self.samples[:SAMPLES_SHOWN]]

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
                    "unit": row.unit,
                    "reason": row.reason,
                    "detail": row.detail,
                    "sample": row.sample,
                }
                for row in self.samples
            ],
        }


NOTHING_QUARANTINED = Quarantine(0, {}, ())


class QuarantineBuilder:
    """Collects the bad rows of one file while it is read.

    Args:
        file: The file as the configuration gives it.
        unit: The unit that counts its rows.

    Attributes:
        rows_read: Rows so far, valid and bad; incremented by the reader.
    """

    def __init__(self, file: str, *, unit: Unit = "line") -> None:
        self.rows_read = 0
        self._file = file
        self._unit: Unit = unit
        self._counts: Counter[Reason] = Counter()
        self._samples: list[BadRow] = []

    def reject(
        self, line: int, problem: Problem, *, raw: object = None, file: str | None = None
    ) -> None:
        """Records a bad row.

        Args:
            line: Start of the row in `unit`.
            problem: Why it is bad.
            raw: The row for display; None: `problem` suffices.
            file: The file, if the rows are the files of a folder.
        """
        reason, detail = problem
        self._counts[reason] += 1
        if len(self._samples) < SAMPLES_KEPT:
            sample = "" if raw is None else sample_of(raw)
            bad = BadRow(file or self._file, line, reason, detail, sample, self._unit)
            self._samples.append(bad)

    def quarantine(self) -> Quarantine:
        """The rows rejected so far."""
        return Quarantine(self.rows_read, dict(self._counts), tuple(self._samples))


def sample_of(row: object, *, most: int = SAMPLE_CHARACTERS) -> str:
    """The beginning of a row or cell as a printable literal of at most `most` characters."""
    literal = repr(row[:most] if isinstance(row, str | bytes) else row)
    if len(literal) <= most:
        return literal
    return literal[: most - 4] + "...'"


def check_bad_fraction(
    quarantine: Quarantine,
    *,
    key: str,
    file: str,
    allowed: float,
) -> None:
    """Refuses a file with too many bad rows, and logs a warning about fewer.

    Args:
        quarantine: The rejected rows of this file.
        key: Dotted key that names the file, or the argument of a command that does.
        file: The file as the configuration gives it.
        allowed: Largest share of bad rows: `data.max_bad_fraction`, or `--max-bad-fraction` of
            a command.

    Raises:
        DataError: More than `allowed` of the rows are bad, or all are.
    """
    bad, rows = quarantine.num_bad, quarantine.rows_read
    is_configured = key.startswith("data.")
    setting = "data.max_bad_fraction" if is_configured else "--max-bad-fraction"
    if bad == 0:
        return
    if bad < rows and bad / rows <= allowed:
        log.warning(
            "rows quarantined",
            extra={
                "split": key.removeprefix("data."),
                "file": file,
                "rows": rows,
                "bad_rows": bad,
                "reasons": dict(quarantine.counts),
                "first": quarantine.shown(),
            },
        )
        return
    if bad == rows:
        what = f"every one of the {rows} rows of {file!r} is bad"
    else:
        what = (
            f"{bad} of the {rows} rows of {file!r} are bad ({bad / rows:.2%}), more than "
            f"{setting} allows ({allowed:.2%})"
        )
    commonest = max(quarantine.counts, key=lambda reason: quarantine.counts[reason])
    advice = (_ADVICE if is_configured else _ADVICE_OF_COMMANDS)[commonest]
    if bad < rows:
        advice += f" Or raise {setting} to skip such rows."
    raise DataError("\n  ".join([f"{key}: {what}:", *_first(quarantine), advice]))


def _first(quarantine: Quarantine) -> Sequence[str]:
    shown = quarantine.shown()
    left = quarantine.num_bad - len(shown)
    return [*shown, f"and {left} more"] if left else shown
