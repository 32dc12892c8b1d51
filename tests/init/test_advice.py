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


def test_rows_that_are_all_bad_say_where_the_limit_can_be_set(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{'a' * 65_536}{n},b{n},{n % 2}" for n in range(20)]
    path.write_text("\n".join(["left,right,label", *rows]) + "\n")
    with pytest.raises(DataError, match=r"^init: (.|\n)*where data\.max_length can be set"):
        look(path, given={}, seed=0)
