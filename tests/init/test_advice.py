"""Errors of the readers name what a user of `init` can do."""

import pytest

from job.errors import DataError
from job.init.advice import advice_on_init, advising_on_init
from job.init.look import look


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (
            "data.train: every one of the 2 rows of 'a.csv' is bad. Write 1 for a match and 0 "
            "for none, or name another column: data.columns.label.",
            "init: every one of the 2 rows of 'a.csv' is bad. Write 1 for a match and 0 for "
            "none, or name another column: --label NAME.",
        ),
        (
            "data.test: 'a.csv' has no column 'b' (data.columns.item_class). Name the column "
            "that holds it: `data.columns.item_class: NAME`.",
            "init: 'a.csv' has no column 'b' (--class NAME). Name the column that holds it: "
            "`--class NAME`.",
        ),
        (
            "data.train: Name the columns in data.columns, or complete the rows.",
            "init: Name the columns with --left, --right, --label, --item or --class, or "
            "complete the rows.",
        ),
        (
            "Give paths of files that exist, relative to data.root.",
            "init: Give paths of files that exist, relative to the folder of the file.",
        ),
        (
            "data.split.by: row leaves nothing for test. Set a larger "
            "`data.split.test_fraction`.",
            "init: data.split.by: row leaves nothing for test. Set a larger "
            "`data.split.test_fraction`. (`siamese-job init NEW.yaml` writes a configuration "
            "to start from, where data.split can be set.)",
        ),
    ],
)
def test_keys_become_flags(message, wanted):
    assert advice_on_init(message) == wanted


def test_an_error_keeps_its_class():
    with pytest.raises(DataError, match=r"^init: bad$"), advising_on_init():
        raise DataError("data.train: bad")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("a{n}.png,b{n}.png,{label}", "relative to the folder of the file"),
        ("{long}{n},b{n},{label}", r"\(the limit is 65536\)(.|\n)*Shorten the items"),
    ],
)
def test_rows_that_are_all_bad_are_said_without_keys(tmp_path, row, wanted):
    path = tmp_path / "a.csv"
    rows = [row.format(n=n, label=n % 2, long="a" * 65_536) for n in range(20)]
    path.write_text("\n".join(["left,right,label", *rows]) + "\n")
    with pytest.raises(DataError, match=wanted) as caught:
        look(path, given={}, seed=0)
    assert "data." not in str(caught.value)
