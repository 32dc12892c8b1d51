import time

import pytest

from job.data.items.columns import item_of, label_of, name_of, split_of, text_of
from job.types import Problem


@pytest.mark.parametrize(
    ("value", "label"),
    [
        *[(text, 0) for text in ("0", "0.0", " 0", "0 ")],
        *[(text, 1) for text in ("1", "1.0", " 1 ")],
        *[(0, 0), (1, 1), (0.0, 0), (1.0, 1)],
        *[(text, None) for text in ("2", "-1", "0.5", "01", "1e0", "true", "yes", "nan")],
        *[(value, None) for value in (2, -1, 0.5, True, False, None, [1], float("nan"))],
    ],
)
def test_only_zero_and_one_are_labels(value, label):
    found = label_of(value, column="match")
    if label is None:
        assert found == Problem("label", f"match must be 0 or 1, got {value!r}")
    else:
        assert found == label


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cat", "cat"),
        (" nan ", " nan "),
        (7, "7"),
        ("7", "7"),
        (0, "0"),
        ("cafe\u0301", "caf\u00e9"),
        ("", Problem("empty", "who is empty")),
        (True, Problem("malformed", "who must be a text or an integer")),
        (1.5, Problem("malformed", "who must be a text or an integer")),
        (None, Problem("malformed", "who must be a text or an integer")),
        ("a\0", Problem("undecodable", "who holds a NUL character")),
        ("a\udcff", Problem("undecodable", "who is not UTF-8 (byte 0xff)")),
        ("a" * 1001, Problem("malformed", "who has more than 1000 characters")),
    ],
)
def test_a_name_is_a_text_or_a_integer(value, expected):
    assert name_of(value, column="who") == expected


@pytest.mark.parametrize(
    ("value", "number"),
    [("train", 0), ("validation", 1), (" test ", 2), ("Train", None), ("dev", None), (0, None)],
)
def test_a_split_is_one_of_three_words(value, number):
    found = split_of(value, column="part")
    if number is None:
        detail = f"part must be one of train, validation, test, got {value!r}"
        assert found == Problem("split", detail)
    else:
        assert found == number


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_label_says_that_the_row_has_none(blank):
    detail = "match is empty: label it or leave the row out"
    assert label_of(blank, column="match") == Problem("label", detail)


def test_an_item_is_a_string_and_nothing_else():
    assert item_of("", column="left") == ""
    assert item_of(5, column="left") == Problem("malformed", "left must be a text, got 5")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("ann", "lee", "york"), "ann | lee | york"),
        ((" ann\t", "", "york "), "ann |  | york"),
        (("", "", "york"), " |  | york"),
        (("ann", None, 7), "ann |  | 7"),
        (("nan", "null", "0"), "nan | null | 0"),
        (("", " ", None), Problem("empty", "every cell of name | sur | town is empty")),
        *[
            (
                ("ann", cell, ""),
                Problem("malformed", f"sur must be a text, an integer or null, got {cell!r}"),
            )
            for cell in (1.5, True, ["lee"])
        ],
    ],
)
def test_the_cells_of_a_list_of_columns_are_one_text(cells, expected):
    assert item_of(cells, column=["name", "sur", "town"]) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("cat", "cat"),
        (" Ab ", " Ab "),
        ("nan", "nan"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u212b", "\u00c5"),  # the sign of Angstrom is the letter
        ("e\u0301" * 20, "\u00e9" * 20),
        ("", Problem("empty", "is empty")),
        (" \u00a0\t", Problem("empty", "is empty")),
        ("x" * 21, Problem("too_long", "has 21 characters (data.max_length is 20)")),
        ("\u00e9" * 21, Problem("too_long", "has 21 characters (data.max_length is 20)")),
        ("e\u0301" * 21, Problem("too_long", "has 21 characters (data.max_length is 20)")),
        # A character that has no form of its own in NFC: one becomes two.
        ("\u0958" * 11, Problem("too_long", "has 22 characters (data.max_length is 20)")),
        ("a\0", Problem("undecodable", "holds a NUL character")),
        ("\udcff", Problem("undecodable", "is not UTF-8 (byte 0xff)")),
        ("\ud800", Problem("undecodable", "is not UTF-8 (U+D800)")),
    ],
)
def test_a_text_is_brought_to_nfc_and_otherwise_left_alone(cell, expected):
    assert text_of(cell, max_length=20) == expected


def test_the_shortest_nfc_of_a_text_still_counts():
    # Four parts for one character: the most there are.
    parts = "\u03b1\u0313\u0342\u0345"
    assert text_of(parts * 20, max_length=20) == "\u1f86" * 20


def test_marks_by_the_million_cost_no_time():
    start = time.perf_counter()
    found = text_of("a" + "\u0301\u0327" * 1_000_000, max_length=256)
    assert isinstance(found, Problem)
    assert found.reason == "too_long"
    # To put them in order would take hours.
    assert time.perf_counter() - start < 5.0
