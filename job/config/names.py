"""A setting that is one name, or a list of names: `data.train`, `data.columns.left`.

A list of one name is that name, so that each setting has one form::

    names_of("a.csv")             # ("a.csv",)
    shown(["given_name", "town"])  # "given_name | town", for messages
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

# A message shows the names at the ends of a list.
_NAMES_SHOWN = 3


def _form(value: Any) -> str:
    """Which of the two a value is meant to be, so that an error is about one of them."""
    return "list" if isinstance(value, list) else "text"


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"each name may occur once (got {twice!r} twice)")
    return names


def _simplest(names: str | list[str]) -> str | list[str]:
    return names[0] if len(names) == 1 and isinstance(names, list) else names


_Name = Annotated[str, Field(min_length=1)]
Names = Annotated[
    Annotated[_Name, Tag("text")]
    | Annotated[list[_Name], Field(min_length=1), AfterValidator(_distinct), Tag("list")],
    Discriminator(_form),
    AfterValidator(_simplest),
    # One schema rather than alternatives, so that only what is wrong is reported.
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "minLength": 1,
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1},
        }
    ),
]


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """The names, also of a setting that is a single one."""
    return (names,) if isinstance(names, str) else tuple(names)


def shown(names: str | Sequence[str]) -> str:
    """The names for a message; of more than three the first two and the last."""
    if isinstance(names, str):  # the common case, at each row of a file
        return names
    every = names_of(names)
    if len(every) > _NAMES_SHOWN:
        every = (*every[: _NAMES_SHOWN - 1], "...", every[-1])
    return " | ".join(every)
