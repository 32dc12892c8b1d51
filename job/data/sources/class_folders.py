"""Walks a folder that holds a folder of pictures for each class.

    FOLDER/CLASS/**/picture.png

Hidden files and folders are skipped; whatever else is no picture by its name is a bad row, as a
picture is that lies in no class. Nothing is opened here::

    for entry in walk(root / "train"):
        ...
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from job.types import Problem

PICTURES = (".png", ".jpg", ".jpeg")


class Entry(NamedTuple):
    """One file.

    Attributes:
        path: Relative to the folder, with `/` between its parts.
        item_class: Name of the class folder; "" when `problem` is set.
        problem: Why it is no picture of a class.
    """

    path: str
    item_class: str
    problem: Problem | None = None


def walk(folder: Path) -> Iterator[Entry]:
    """Every file below a folder, folder by folder, names in the order of their code points.

    Raises:
        OSError: A folder cannot be read.
    """
    waiting = _children(str(folder), parts=())
    while waiting:
        parts, entry = waiting.pop()
        if entry.is_dir(follow_symlinks=False):
            waiting += _children(entry.path, parts=parts)
        else:
            yield _entry(parts, is_link_to_folder=entry.is_dir())


def _children(
    folder: str, *, parts: tuple[str, ...]
) -> "list[tuple[tuple[str, ...], os.DirEntry[str]]]":
    """What a folder holds and is not hidden, the last one first."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: entry.name, reverse=True)
    return [((*parts, entry.name), entry) for entry in entries]


def _entry(path: tuple[str, ...], *, is_link_to_folder: bool) -> Entry:
    name = "/".join(path)
    if is_link_to_folder:
        problem = Problem("format", "is a link to a folder, and those are not followed")
    elif not path[-1].lower().endswith(PICTURES):
        problem = Problem("format", f"is no picture by its name ({', '.join(PICTURES)})")
    elif len(path) == 1:
        problem = Problem("class", "lies in no class folder")
    else:
        return Entry(name, path[0])
    return Entry(name, "", problem)
