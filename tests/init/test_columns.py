"""Which columns are the items, the label, the class: by name, by content, or not at all."""

import pytest

from job.errors import ConfigError
from job.init.columns import recognise, recognise_arrays
from job.init.survey import Column, Tally

WORDS = [f"word {n}" for n in range(40)]
OTHERS = [f"other {n}" for n in range(40)]
LABELS = ["0", "1"] * 20
CLASSES = [f"class {n // 4}" for n in range(40)]
IDS = [str(n) for n in range(40)]
SPLIT = ["train"] * 30 + ["validation"] * 5 + ["test"] * 5


def column(name: str, values: list[str]) -> Column:
    tally = Tally(name)
    for value in values:
        tally.add(value)
    return tally.column()


def table(**columns: list[str]) -> list[Column]:
    return [column(name, values) for name, values in columns.items()]


def roles(columns: list[Column], **given: str) -> dict[str, object]:
    told = {flag: [name] for flag, name in given.items()}
    return dict(recognise(columns, given=told, where="'a.csv'").columns)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("left", "right", "label"), {"left": "left", "right": "right", "label": "label"}),
        (
            ("question1", "question2", "is_duplicate"),
            {"left": "question1", "right": "question2", "label": "is_duplicate"},
        ),
        (("a", "b", "same"), {"left": "a", "right": "b", "label": "same"}),
        (("typo", "word", "x"), {"left": "typo", "right": "word", "label": "x"}),
        (("text_b", "text_a", "y"), {"left": "text_a", "right": "text_b", "label": "y"}),
        (("ltable_name", "rtable_name", "gold"), {
            "left": "ltable_name", "right": "rtable_name", "label": "gold",
        }),
        (("leftTitle", "rightTitle", "match"), {
            "left": "leftTitle", "right": "rightTitle", "label": "match",
        }),
    ],
)  # fmt: skip
def test_pairs_are_recognised(names, columns):
    found = table(**dict(zip(names, (WORDS, OTHERS, LABELS), strict=True)))
    assert roles(found) == columns
    assert roles([column("id", IDS), *found]) == columns


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (table(text=WORDS, category=CLASSES), {"item": "text", "item_class": "category"}),
        (
            table(path=[f"a/{n}.png" for n in range(40)], **{"class": CLASSES}),
            {"item": "path", "item_class": "class"},
        ),
        (table(title=WORDS, brand=CLASSES), {"item": "title", "item_class": "brand"}),
        # A class of two values is no label of a pair: there is one text only.
        (table(review=WORDS, label=LABELS), {"item": "review", "item_class": "label"}),
        # A column of 0 and 1 makes no pairs of a title and its category.
        (
            table(title=WORDS, category=CLASSES, in_stock=LABELS),
            {"item": "title", "item_class": "category"},
        ),
        (
            table(text=WORDS, label=CLASSES, part=SPLIT),
            {"item": "text", "item_class": "label", "split": "part"},
        ),
        (
            table(text=WORDS, label=CLASSES, group=CLASSES[::-1]),
            {"item": "text", "item_class": "label", "group": "group"},
        ),
    ],
)
def test_items_with_a_class_are_recognised(columns, expected):
    assert roles(columns) == expected


def test_paths_tell_the_kind():
    images = [f"{n}.PNG" for n in range(40)]
    found = table(left=images, right=images[::-1], label=LABELS)
    assert recognise(found, given={}, where="'a.csv'").kind == "image"
    steps = [f"{n}.npy" for n in range(40)]
    found = table(item=steps, **{"class": CLASSES})
    assert recognise(found, given={}, where="'a.csv'").kind == "sequence"


def test_flags_decide_over_names_and_content():
    found = table(left=WORDS, right=OTHERS, label=LABELS, maker=CLASSES, p=WORDS)
    assert roles(found, left="p", right="right", label="label")["left"] == "p"
    chosen = {"item": "left", "item_class": "maker"}
    assert roles(found, item="left", **{"class": "maker"}) == chosen


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        (table(p=WORDS, q=OTHERS, r=IDS), {}, r"do not say what they are: 'p' \(40 values\)"),
        (table(a=WORDS, b=OTHERS, same=["yes", "no"] * 20), {}, "holds 'yes', 'no', and a l"),
        (table(left=WORDS, right=OTHERS, label=["?", "1", "0", "1"] * 10), {}, "holds '"),
        (table(left=WORDS, right=OTHERS, label=["2", "1", "0", "1"] * 10), {}, "holds '"),
        (table(a=WORDS, b=OTHERS, same=LABELS), {"label": ["a"]}, "a label is 1"),
        (table(a=WORDS, b=OTHERS, same=LABELS), {"left": ["c"]}, "--left 'c': 'a.csv' has no"),
        (table(a=WORDS, b=OTHERS, same=LABELS), {"left": ["a"], "right": ["a"]}, "same column"),
    ],
)
def test_what_cannot_be_decided_is_an_error_that_shows_the_columns(columns, given, message):
    with pytest.raises(ConfigError, match=message):
        recognise(columns, given=given, where="'a.csv'")


def test_records_of_several_columns_make_one_text():
    found = table(
        id_1=IDS,
        name_1=WORDS,
        post_1=IDS,
        id_2=IDS,
        name_2=OTHERS,
        post_2=IDS,
        same=LABELS,
    )
    assert roles(found) == {
        "left": ["name_1", "post_1"],
        "right": ["name_2", "post_2"],
        "label": "same",
    }
    found = table(rec_id=IDS, given=WORDS, surname=OTHERS, post=IDS, person=CLASSES)
    assert roles(found) == {"item": ["given", "surname", "post"], "item_class": "person"}
    told = {"left": ["name_1"], "right": ["name_2", "post_2"], "label": ["same"]}
    columns = table(name_1=WORDS, name_2=OTHERS, post_2=IDS, same=LABELS)
    chosen = recognise(columns, given=told, where="'a.csv'")
    assert chosen.columns["right"] == ["name_2", "post_2"]
    assert chosen.names == ["name_1", "name_2", "post_2", "same"]
    with pytest.raises(ConfigError, match="--label names one column"):
        recognise(columns, given={"label": ["same", "name_1"]}, where="'a.csv'")


def test_the_only_array_that_repeats_is_the_class():
    found = table(uid=IDS, speaker=CLASSES, split=SPLIT)
    chosen = recognise_arrays(found, kind="sequence", given={}, where="'a.npz'")
    assert chosen.columns == {"item_class": "speaker", "split": "split"}
    two = table(shape=CLASSES, colour=CLASSES[::-1])
    with pytest.raises(ConfigError, match="--class NAME"):
        recognise_arrays(two, kind="image", given={}, where="'a.npz'")
    chosen = recognise_arrays(two, kind="image", given={"class": ["colour"]}, where="'a.npz'")
    assert chosen.columns == {"item_class": "colour"}
