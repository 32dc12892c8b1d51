"""Which column is what: the two items of a pair and its label, or an item and its class.

Names count first, then content: `question1,question2,is_duplicate` and `a,b,same` are pairs,
`text,category` and `path,class` are items. What cannot be decided is an error that lists the
columns and the flags that decide it::

    roles = recognise(columns, given={}, where="'pairs.csv'")
    roles.columns  # {"left": "question1", "right": "question2", "label": "is_duplicate"}
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from job.config.suggest import did_you_mean
from job.errors import ConfigError
from job.types import SPLITS, Kind

PAIR_FLAGS = ("left", "right", "label")
ITEM_FLAGS = ("item", "class")

_LABELS = frozenset({"0", "1", "0.0", "1.0"})
_IMAGES = (".png", ".jpg", ".jpeg")
_COLUMNS_SHOWN = 30

# Words of a column's name that say which side of a pair it is.
_SIDES = (
    ("left", "right"),
    ("l", "r"),
    ("ltable", "rtable"),
    ("1", "2"),
    ("a", "b"),
    ("x", "y"),
    ("first", "second"),
    ("source", "target"),
    ("src", "tgt"),
    ("query", "document"),
    ("question", "answer"),
)
# Likely names, the likeliest first.
_LABEL_NAMES = (
    *("label", "is_match", "match", "same", "is_same", "is_duplicate", "duplicate", "gold"),
    *("similar", "is_similar", "equal", "target", "y", "matches", "matching"),
)
_CLASS_NAMES = (
    *("class", "label", "category", "target", "y", "cluster", "cluster_id", "entity"),
    *("entity_id", "identity", "class_id", "group_id", "species", "person", "speaker"),
)
_ITEM_NAMES = (
    *("item", "text", "path", "file", "filename", "file_name", "image", "sequence", "sentence"),
    *("name", "title", "content", "description"),
)
_GROUP_NAMES = ("group", "family", "subject", "person", "speaker", "user", "patient", "writer")
_SPLIT_NAMES = ("split", "subset", "fold", "partition")

# Rows whose class another row has, at least, for a column to be one of classes.
_SHARE_REPEATED = 0.5


@dataclass(frozen=True)
class Column:
    """What a column of a table, or an array of an `.npz`, holds.

    Attributes:
        name: As in the file.
        values: Distinct values as texts, in order of appearance, the first thousands.
        num_rows: Rows that were read.
        num_distinct: Distinct values among them.
        share_repeated: Share of the rows whose value another row has.
        mean_length: Characters of a value.
    """

    name: str
    values: Sequence[str]
    num_rows: int
    num_distinct: int
    share_repeated: float
    mean_length: float

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the name: `ltable_Title2` has `ltable`, `title` and `2`."""
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name)
        return tuple(re.findall(r"[^\W\d_]+|\d+", apart.lower()))

    @property
    def is_binary(self) -> bool:
        """Whether it holds labels: 0 and 1, or one of them."""
        return 0 < self.num_distinct <= 4 and {v.strip() for v in self.values} <= _LABELS

    @property
    def is_split(self) -> bool:
        """Whether it names the splits, all three of them."""
        return {value.strip() for value in self.values} == set(SPLITS)

    @property
    def is_number(self) -> bool:
        """Whether every value is a number."""
        return bool(self.values) and all(map(_is_number, self.values))

    @property
    def is_empty(self) -> bool:
        """Whether no value says anything."""
        return not any(value.strip() for value in self.values)

    @property
    def has_classes(self) -> bool:
        """Whether it can be a class: not all values differ, not all are equal."""
        return self.num_distinct > 1 and self.share_repeated >= _SHARE_REPEATED

    @property
    def kind(self) -> Kind:
        """What its values are as items: texts, or paths of images or sequences."""
        ends = [value.lower() for value in self.values[:1000]]
        if ends and all(end.endswith(_IMAGES) for end in ends):
            return "image"
        return "sequence" if ends and all(end.endswith(".npy") for end in ends) else "text"


@dataclass(frozen=True)
class Roles:
    """What a file holds.

    Attributes:
        rows: Pairs, or items with a class.
        kind: What an item is.
        columns: Key below `data.columns` to the name of the column.
        why: How that was decided, for a comment.
    """

    rows: Literal["pairs", "items"]
    kind: Kind
    columns: Mapping[str, str]
    why: str


def recognise(columns: Sequence[Column], *, given: Mapping[str, str], where: str) -> Roles:
    """Decides what each column is.

    Args:
        columns: Of the training file.
        given: What the user said: `left`, `right`, `label`, `item` or `class` to a name.
        where: The file, for messages.

    Raises:
        ConfigError: A given column does not exist, or the columns do not tell.
    """
    _require_given(columns, given, where=where)
    free = [column for column in columns if column.name not in given.values()]
    if not given.keys() & set(ITEM_FLAGS):
        pairs = _pairs(columns, free, given=given, where=where)
        if pairs is not None:
            return pairs
    if not given.keys() & set(PAIR_FLAGS):
        items = _items(columns, free, given=given, where=where)
        if items is not None:
            return items
    raise _undecided(columns, where=where, given=given)


def _pairs(
    columns: Sequence[Column],
    free: Sequence[Column],
    *,
    given: Mapping[str, str],
    where: str,
) -> Roles | None:
    label = _label(columns, free, given=given, where=where)
    if label is None:
        return None
    rest = [c for c in free if c is not label and not c.is_split]
    sides = {side: _named(columns, given[side]) for side in ("left", "right") if side in given}
    why = "as told"
    if len(sides) < 2:
        found = _two_sides(rest, is_sure=_rank(label, _LABEL_NAMES) is not None, where=where)
        if found is None or sides:
            return None
        sides, why = {"left": found[0], "right": found[1]}, found[2]
    kind = sides["left"].kind
    if sides["right"].kind != kind:
        return None
    names = {"left": sides["left"].name, "right": sides["right"].name, "label": label.name}
    return Roles("pairs", kind, {**names, **_extras(rest, taken=names)}, why)


def _label(
    columns: Sequence[Column],
    free: Sequence[Column],
    *,
    given: Mapping[str, str],
    where: str,
) -> Column | None:
    """The column of labels; None if there is none."""
    if "label" in given:
        chosen = _named(columns, given["label"])
        if not chosen.is_binary:
            raise _not_labels(chosen, where=where)
        return chosen
    candidates = [column for column in free if column.is_binary]
    if len(candidates) > 1:
        ranked = [c for c in candidates if _rank(c, _LABEL_NAMES) is not None]
        candidates = sorted(ranked, key=lambda c: _rank(c, _LABEL_NAMES) or 0)[:1]
    return candidates[0] if candidates else None


def _two_sides(
    rest: Sequence[Column], *, is_sure: bool, where: str
) -> tuple[Column, Column, str] | None:
    """The two columns of items, the left one first, and how they were found."""
    able = [column for column in rest if not column.is_empty]
    paired = _by_name(able)
    texts = [pair for pair in paired if not any(map(_is_id, pair))]
    if len(texts) == 1:
        return (*texts[0], "their names belong together")
    if len(texts) > 1:
        seen = "; ".join(f"{one.name!r} and {two.name!r}" for one, two in texts)
        raise ConfigError(
            f"init: {where} has several pairs of columns that belong together: {seen}. Say "
            "which two hold the items: --left NAME --right NAME."
        )
    able = [column for column in able if not column.is_number]
    if len(able) != 2:
        return None
    # `title, category, in_stock` are items, though a column of 0 and 1 is beside them.
    if not is_sure and any(_rank(column, _CLASS_NAMES) is not None for column in able):
        return None
    return (able[0], able[1], "the only two columns of texts beside the label")


def _by_name(columns: Sequence[Column]) -> list[tuple[Column, Column]]:
    """Columns whose names differ in a word of `_SIDES` alone."""
    found = []
    for one, two in _SIDES:
        for left in columns:
            for right in columns:
                at = [i for i, word in enumerate(left.words) if word == one]
                if any(right.words == (*left.words[:i], two, *left.words[i + 1 :]) for i in at):
                    found.append((left, right))
    return list(dict.fromkeys(found))


def _items(
    columns: Sequence[Column],
    free: Sequence[Column],
    *,
    given: Mapping[str, str],
    where: str,
) -> Roles | None:
    if "class" in given:
        chosen: Column | None = _named(columns, given["class"])
    else:
        chosen = _best([c for c in free if c.has_classes and not c.is_split], _CLASS_NAMES)
    if chosen is None:
        return None
    rest = [c for c in free if c is not chosen and not c.is_split and not c.is_empty]
    if "item" in given:
        item: Column | None = _named(columns, given["item"])
    else:
        files = [c for c in rest if c.kind != "text"]
        texts = [c for c in rest if not c.is_number and not c.is_binary]
        item = _best(files or texts, _ITEM_NAMES)
    if item is None:
        return None
    names = {"item": item.name, "item_class": chosen.name}
    why = "as told" if given else "the class repeats, the item does not"
    return Roles("items", item.kind, {**names, **_extras(free, taken=names)}, why)


def recognise_arrays(
    columns: Sequence[Column], *, kind: Kind, given: Mapping[str, str], where: str
) -> Roles:
    """Decides which array of an `.npz` is the class; its items have fixed names.

    Raises:
        ConfigError: A given array does not exist, or the arrays do not tell.
    """
    _require_given(columns, given, where=where)
    if "class" in given:
        chosen: Column | None = _named(columns, given["class"])
    else:
        chosen = _best([c for c in columns if c.has_classes and not c.is_split], _CLASS_NAMES)
    if chosen is None:
        raise _undecided(columns, where=where, given=given)
    names = {"item_class": chosen.name}
    why = "as told" if given else "the array of classes"
    return Roles("items", kind, {**names, **_extras(columns, taken=names)}, why)


def _extras(columns: Sequence[Column], *, taken: Mapping[str, str]) -> dict[str, str]:
    """The columns that say which split and which group a row belongs to."""
    rest = [column for column in columns if column.name not in taken.values()]
    found = {}
    splits = [c for c in rest if c.is_split]
    split = splits[0] if len(splits) == 1 else _best(splits, _SPLIT_NAMES)
    if split is not None:
        found["split"] = split.name
    groups = [c for c in rest if _rank(c, _GROUP_NAMES) is not None and c.has_classes]
    if groups:
        found["group"] = min(groups, key=lambda c: _rank(c, _GROUP_NAMES) or 0).name
    return found


def _best(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the likeliest name; without a likely one the only column, or None."""
    ranked = [c for c in columns if _rank(c, names) is not None]
    if ranked:
        return min(ranked, key=lambda c: _rank(c, names) or 0)
    return columns[0] if len(columns) == 1 else None


def _rank(column: Column, names: Sequence[str]) -> int | None:
    """Place of a column's name among likely ones; None if it is not among them."""
    name = "_".join(column.words)
    return names.index(name) if name in names else None


def _is_id(column: Column) -> bool:
    """Whether it numbers rows instead of holding items."""
    return column.is_number or "id" in column.words


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _named(columns: Sequence[Column], name: str) -> Column:
    return next(column for column in columns if column.name == name)


def _require_given(columns: Sequence[Column], given: Mapping[str, str], *, where: str) -> None:
    names = [column.name for column in columns]
    for flag, name in given.items():
        if name not in names:
            raise ConfigError(
                f"init: --{flag} {name!r}: {where} has no such column."
                f"{did_you_mean(name, names)} Its columns: {_shown(columns)}. Name one."
            )
    if len(set(given.values())) != len(given):
        raise ConfigError(
            f"init: two flags name the same column (got {', '.join(given.values())}). Each "
            "needs a column of its own."
        )


def _not_labels(column: Column, *, where: str) -> ConfigError:
    seen = ", ".join(map(repr, column.values[:4]))
    return ConfigError(
        f"init: the column {column.name!r} of {where} holds {seen}, and a label is 1 (match) "
        "or 0 (no match). Write the labels as 1 and 0."
    )


def _undecided(
    columns: Sequence[Column], *, where: str, given: Mapping[str, str]
) -> ConfigError:
    worded = [
        c
        for c in columns
        if c.num_distinct == 2 and not c.is_binary and _rank(c, _LABEL_NAMES) is not None
    ]
    if worded and not given:
        return _not_labels(worded[0], where=where)
    return ConfigError(
        f"init: the columns of {where} do not say what they are: {_shown(columns)}. Name them: "
        "--left NAME --right NAME --label NAME for pairs (the label is 1 or 0), or --item NAME "
        "--class NAME for items with a class."
    )


def _shown(columns: Sequence[Column]) -> str:
    rest = len(columns) - _COLUMNS_SHOWN
    shown = ", ".join(
        f"{column.name!r} ({column.num_distinct:,} values)"
        for column in columns[:_COLUMNS_SHOWN]
    )
    return f"{shown}, and {rest} more" if rest > 0 else shown or "none"
