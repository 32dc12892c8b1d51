"""Which column is what: the two items of a pair and its label, or an item and its class.

Names count first, then content: `question1,question2,is_duplicate` and `a,b,same` are pairs,
`text,category` and `path,class` are items. What cannot be decided is an error that lists the
columns and the flags that decide it::

    roles = recognise(columns, given={}, where="'pairs.csv'")
    roles.columns  # {"left": "question1", "right": "question2", "label": "is_duplicate"}

Records of several columns become one text: `name_1,street_1,name_2,street_2,match` are pairs of
`[name_1, street_1]` and `[name_2, street_2]`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from job.config.names import names_of
from job.config.suggest import did_you_mean
from job.errors import ConfigError
from job.init.survey import Column
from job.types import Kind

PAIR_FLAGS = ("left", "right", "label")
ITEM_FLAGS = ("item", "class")

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


@dataclass(frozen=True)
class Roles:
    """What a file holds.

    Attributes:
        rows: Pairs, or items with a class.
        kind: What an item is.
        columns: Key below `data.columns` to the name of the column, or several for a text that
            is made of them.
        why: How that was decided, for a comment.
    """

    rows: Literal["pairs", "items"]
    kind: Kind
    columns: Mapping[str, str | list[str]]
    why: str

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return [name for names in self.columns.values() for name in names_of(names)]


# What the user said: a flag to the names of columns.
Given = Mapping[str, Sequence[str]]


def recognise(columns: Sequence[Column], *, given: Given, where: str) -> Roles:
    """Decides what each column is.

    Args:
        columns: Of the training file.
        given: What the user said: `left`, `right`, `label`, `item` or `class` to names.
        where: The file, for messages.

    Raises:
        ConfigError: A given column does not exist, or the columns do not tell.
    """
    _require_given(columns, given, where=where)
    free = [column for column in columns if column.name not in set(chain(*given.values()))]
    if not given.keys() & set(ITEM_FLAGS):
        pairs = _pairs(columns, free, given=given, where=where)
        if pairs is not None:
            return pairs
        if not given:
            _require_no_worded_label(columns, where=where)
    if not given.keys() & set(PAIR_FLAGS):
        items = _items(columns, free, given=given, where=where)
        if items is not None:
            return items
    raise _undecided(columns, where=where)


def _pairs(
    columns: Sequence[Column], free: Sequence[Column], *, given: Given, where: str
) -> Roles | None:
    label = _label(columns, free, given=given, where=where)
    if label is None:
        return None
    rest = [c for c in free if c is not label and not c.is_split]
    sides = {
        side: [_named(columns, name) for name in given[side]]
        for side in ("left", "right")
        if side in given
    }
    why = "as told"
    if len(sides) < 2:
        found = _two_sides(rest, is_sure=_rank(label, _LABEL_NAMES) is not None)
        if found is None or sides:
            return None
        sides, why = {"left": found[0], "right": found[1]}, found[2]
    kinds = {column.kind for column in chain(*sides.values())}
    if len(kinds) > 1:
        return None
    names = {side: _names(columns) for side, columns in sides.items()} | {"label": label.name}
    return Roles("pairs", kinds.pop(), {**names, **_extras(free, taken=names)}, why)


def _label(
    columns: Sequence[Column], free: Sequence[Column], *, given: Given, where: str
) -> Column | None:
    """The column of labels; None if there is none."""
    if "label" in given:
        chosen = _named(columns, given["label"][0])
        if not chosen.is_binary:
            raise _not_labels(chosen, where=where)
        return chosen
    candidates = [column for column in free if column.is_binary]
    if len(candidates) > 1:
        ranked = [c for c in candidates if _rank(c, _LABEL_NAMES) is not None]
        candidates = sorted(ranked, key=lambda c: _rank(c, _LABEL_NAMES) or 0)[:1]
    return candidates[0] if candidates else None


def _two_sides(
    rest: Sequence[Column], *, is_sure: bool
) -> tuple[list[Column], list[Column], str] | None:
    """The columns of the left and the right items, and how they were found."""
    able = [column for column in rest if not column.is_empty]
    paired = [pair for pair in _by_name(able) if not any(map(_is_id, pair))]
    if paired:
        why = "their names belong together"
        if len(paired) > 1:
            why += "; several columns make one text"
        return [left for left, _ in paired], [right for _, right in paired], why
    able = [column for column in able if not column.is_number]
    if len(able) != 2:
        return None
    # `title, category, in_stock` are items, though a column of 0 and 1 is beside them.
    if not is_sure and any(_rank(column, _CLASS_NAMES) is not None for column in able):
        return None
    return [able[0]], [able[1]], "the only two columns of texts beside the label"


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
    columns: Sequence[Column], free: Sequence[Column], *, given: Given, where: str
) -> Roles | None:
    chosen = _class(columns, free, given=given)
    if chosen is None:
        return None
    rest = [c for c in free if c is not chosen and not c.is_split and not c.is_empty]
    why = "as told" if given else "the class repeats, the item does not"
    if "item" in given:
        items = [_named(columns, name) for name in given["item"]]
    else:
        files = [c for c in rest if c.kind != "text"]
        texts = [c for c in rest if not c.is_number and not c.is_binary]
        best = _best(files or texts, _ITEM_NAMES)
        items = [best] if best else [] if files else _record(rest, texts)
        if len(items) > 1:
            why += "; several columns make one text"
    kinds = {item.kind for item in items}
    if len(kinds) != 1:
        return None
    names = {"item": _names(items), "item_class": chosen.name}
    return Roles("items", kinds.pop(), {**names, **_extras(free, taken=names)}, why)


def _class(columns: Sequence[Column], free: Sequence[Column], *, given: Given) -> Column | None:
    if "class" in given:
        return _named(columns, given["class"][0])
    return _best([c for c in free if c.has_classes and not c.is_split], _CLASS_NAMES)


def _record(rest: Sequence[Column], texts: Sequence[Column]) -> list[Column]:
    """The columns that describe an item together, numbers such as a postcode included."""
    fields = [column for column in rest if not _is_id(column)]
    return fields if sum(column in fields for column in texts) > 1 else []


def _names(columns: Sequence[Column]) -> str | list[str]:
    names = [column.name for column in columns]
    return names[0] if len(names) == 1 else names


def recognise_arrays(
    columns: Sequence[Column], *, kind: Kind, given: Given, where: str
) -> Roles:
    """Decides which array of an `.npz` is the class; its items have fixed names.

    Raises:
        ConfigError: A given array does not exist, or the arrays do not tell.
    """
    _require_given(columns, given, where=where)
    chosen = _class(columns, columns, given=given)
    if chosen is None:
        raise _undecided(columns, where=where)
    names = {"item_class": chosen.name}
    why = "as told" if given else "the array of classes"
    return Roles("items", kind, {**names, **_extras(columns, taken=names)}, why)


def _extras(
    columns: Sequence[Column], *, taken: Mapping[str, str | list[str]]
) -> dict[str, str]:
    """The columns that say which split and which group a row belongs to."""
    used = set(chain(*map(names_of, taken.values())))
    rest = [column for column in columns if column.name not in used]
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
    """Whether it numbers rows instead of describing items."""
    ends = any(word.endswith("id") for word in column.words)
    return "id" in column.words or (column.is_number and ends)


def _named(columns: Sequence[Column], name: str) -> Column:
    return next(column for column in columns if column.name == name)


def _require_given(columns: Sequence[Column], given: Given, *, where: str) -> None:
    known = [column.name for column in columns]
    for flag, names in given.items():
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"init: --{flag} {name!r}: {where} has no such column."
                    f"{did_you_mean(name, known)} Its columns: {_shown(columns)}. Name one."
                )
    for flag in ("label", "class"):
        if len(given.get(flag, ())) > 1:
            raise ConfigError(
                f"init: --{flag} names one column (got {', '.join(given[flag])}). Leave the "
                "others out."
            )
    told = list(chain(*given.values()))
    if len(set(told)) != len(told):
        raise ConfigError(
            f"init: two flags name the same column (got {', '.join(told)}). Each needs columns "
            "of its own."
        )


def _not_labels(column: Column, *, where: str) -> ConfigError:
    seen = ", ".join(map(repr, column.values[:4]))
    return ConfigError(
        f"init: the column {column.name!r} of {where} holds {seen}, and a label is 1 (match) "
        "or 0 (no match). Write the labels as 1 and 0."
    )


def _require_no_worded_label(columns: Sequence[Column], *, where: str) -> None:
    """Refuses pairs whose label is a word such as yes, or is missing in some rows.

    It is not guessed which word matches. Such pairs are not taken for items with a class
    either: two columns that pair by name say what they are.
    """
    for column in columns:
        if column.is_binary or _rank(column, _LABEL_NAMES) is None:
            continue
        others = [one for one in columns if one is not column and not one.is_empty]
        has_sides = len([one for one in others if not one.is_number]) == 2
        if _by_name(others) or (column.num_distinct == 2 and has_sides):
            raise _not_labels(column, where=where)


def _undecided(columns: Sequence[Column], *, where: str) -> ConfigError:
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
