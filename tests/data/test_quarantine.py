import re
from pathlib import Path
from typing import get_args

import pytest

from job.data.quarantine import (
    NOTHING_QUARANTINED,
    SAMPLES_KEPT,
    BadRow,
    Problem,
    Quarantine,
    QuarantineBuilder,
    Reason,
    check_bad_fraction,
    sample_of,
)
from job.errors import DataError


def quarantine_of(num_bad: int, rows_read: int) -> Quarantine:
    samples = tuple(
        BadRow("a.csv", line, "label", "label must be 0 or 1, got '2'", "['a', 'b', '2']")
        for line in range(2, 2 + num_bad)
    )
    return Quarantine(rows_read, {"label": num_bad} if num_bad else {}, samples[:10])


@pytest.mark.parametrize(
    ("num_bad", "rows_read", "allowed", "tolerated"),
    [
        (0, 100, 0.0, True),
        (1, 100, 0.01, True),
        (2, 100, 0.01, False),
        (1, 99, 0.01, False),
        (1, 100, 0.0, False),
        (99, 100, 1.0, True),
        (100, 100, 1.0, False),
        (1, 1, 1.0, False),
    ],
)
def test_bad_rows_are_tolerated_up_to_a_share_but_never_all(
    num_bad, rows_read, allowed, tolerated
):
    quarantine = quarantine_of(num_bad, rows_read)
    if tolerated:
        check_bad_fraction(quarantine, key="data.train", file="a.csv", allowed=allowed)
        return
    with pytest.raises(DataError):
        check_bad_fraction(quarantine, key="data.train", file="a.csv", allowed=allowed)


def test_too_many_bad_rows_are_explained():
    with pytest.raises(DataError) as caught:
        check_bad_fraction(
            quarantine_of(5, 50), key="data.test", file="sub/a.csv", allowed=0.01
        )
    assert str(caught.value) == (
        "data.test: 5 of the 50 rows of 'sub/a.csv' are bad (10.00%), more than "
        "data.max_bad_fraction allows (1.00%):\n"
        "  a.csv line 2: label must be 0 or 1, got '2' in ['a', 'b', '2']\n"
        "  a.csv line 3: label must be 0 or 1, got '2' in ['a', 'b', '2']\n"
        "  a.csv line 4: label must be 0 or 1, got '2' in ['a', 'b', '2']\n"
        "  and 2 more\n"
        "  Write 1 for a match and 0 for none, or name another column: data.columns.label. "
        "Or raise data.max_bad_fraction to skip such rows."
    )


def test_a_file_of_bad_rows_only_is_not_told_to_raise_the_limit():
    with pytest.raises(DataError) as caught:
        check_bad_fraction(quarantine_of(2, 2), key="data.train", file="a.csv", allowed=0.01)
    message = str(caught.value)
    assert message.startswith("data.train: every one of the 2 rows of 'a.csv' is bad:\n")
    assert "max_bad_fraction" not in message
    assert "more" not in message


def test_the_advice_is_for_the_commonest_reason():
    quarantine = Quarantine(9, {"label": 1, "undecodable": 2}, ())
    with pytest.raises(DataError, match="Save the file as UTF-8"):
        check_bad_fraction(quarantine, key="data.train", file="a.csv", allowed=0.0)


# Only training reads classes and splits.
@pytest.mark.parametrize("reason", sorted({*get_args(Reason)} - {"class", "split"}))
def test_users_of_a_model_are_not_told_to_change_the_configuration(reason):
    quarantine = Quarantine(9, {reason: 2}, ())
    with pytest.raises(DataError) as caught:
        check_bad_fraction(quarantine, key="PAIRS", file="a.csv", allowed=0.0)
    message = str(caught.value)
    assert message.endswith(" Or raise --max-bad-fraction to skip such rows.")
    assert "data." not in message


def test_quarantines_of_several_files_add_up():
    one = Quarantine(10, {"label": 1, "empty": 2}, (BadRow("a", 2, "label", "x", "y"),))
    other = Quarantine(20, {"label": 3}, (BadRow("b", 3, "label", "x", "y"),))
    both = NOTHING_QUARANTINED + one + other
    assert both.rows_read == 30
    assert both.num_bad == 6
    assert both.counts == {"label": 4, "empty": 2}
    assert [row.file for row in both.samples] == ["a", "b"]
    assert both.to_json() == {
        "rows_read": 30,
        "bad": 6,
        "counts": {"empty": 2, "label": 4},
        "samples": [
            {
                "file": name,
                "line": line,
                "unit": "line",
                "reason": "label",
                "detail": "x",
                "sample": "y",
            }
            for name, line in (("a", 2), ("b", 3))
        ],
    }


@pytest.mark.parametrize(
    "row",
    [
        "x" * 10_000_000,
        b"\xff" * 100,
        ["a", "x" * 100, "1"],
        "\x1b[31m" * 30,
        ["\udcff"] * 30,
        "x" * 59,
        "x" * 60,
    ],
)
def test_a_sample_is_short_and_printable(row):
    sample = sample_of(row)
    assert len(sample) <= 60
    assert sample.isprintable()
    assert sample.endswith("...'")


def test_a_short_row_is_shown_whole():
    assert sample_of(["a", "b"]) == "['a', 'b']"
    assert sample_of("x" * 58) == repr("x" * 58)  # 60 characters with its quotes


def test_a_longer_sample_can_be_asked_for():
    assert sample_of("a" * 100, most=102) == repr("a" * 100)
    assert sample_of("a" * 101, most=102) == "'" + "a" * 97 + "...'"


@pytest.mark.parametrize(
    ("unit", "sample", "shown"),
    [
        ("line", "['a']", "a.csv line 7: left is empty in ['a']"),
        ("line", "", "a.csv line 7: left is empty"),
        ("row", "", "a.csv row 7: left is empty"),
        ("file", "", "a.csv: left is empty"),
    ],
)
def test_a_bad_row_says_where_it_is(unit, sample, shown):
    assert str(BadRow("a.csv", 7, "empty", "left is empty", sample, unit)) == shown


def test_a_rejected_counts_all_and_keeps_the_first_thousand():
    rejected = QuarantineBuilder("a.npz", unit="row")
    for row in range(1, 1501):
        rejected.rows_read += 1
        rejected.reject(row, Problem("empty" if row % 3 else "shape", "x"))
    quarantine = rejected.quarantine()
    assert quarantine.rows_read == quarantine.num_bad == 1500
    assert quarantine.counts == {"empty": 1000, "shape": 500}
    assert [bad.line for bad in quarantine.samples] == list(range(1, 1001))
    assert SAMPLES_KEPT == 1000
    assert quarantine.shown() == [f"a.npz row {row}: x" for row in (1, 2, 3)]


def test_a_rejected_names_the_file_of_a_row_that_is_one():
    rejected = QuarantineBuilder("images", unit="file")
    rejected.reject(4, Problem("format", "is a GIF"), file="images/cat/a.png")
    rejected.reject(9, Problem("label", "bad"), raw=["a", "b"])
    first, second = rejected.quarantine().samples
    assert str(first) == "images/cat/a.png: is a GIF"
    assert (second.file, second.sample) == ("images", "['a', 'b']")


def test_every_reason_has_its_advice():
    for reason in get_args(Reason):
        quarantine = Quarantine(2, {reason: 2}, (BadRow("a", 1, reason, "x", ""),))
        with pytest.raises(DataError) as caught:
            check_bad_fraction(quarantine, key="data.train", file="a", allowed=0.5)
        assert str(caught.value).splitlines()[-1].strip().endswith(".")


def test_every_reason_is_documented():
    page = (Path(__file__).parents[2] / "docs/data.md").read_text()
    section = page.split("\n## Bad rows\n")[1].split("\n## ")[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", section) == list(get_args(Reason))
