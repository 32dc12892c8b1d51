"""Walks a folder that holds a folder of images for each class.

    FOLDER/CLASS/**/image.png

Hidden files and folders are skipped. Any other file without the extension of an image is a bad
row, and so is an image outside the class folders. Opens no file::

    for entry in walk(root / "train"):
        ...
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from job.types import Problem

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg")


class Entry(NamedTuple):
    """One file.

    Attributes:
        path: Relative to the folder, with `/` between its parts.
        item_class: Name of the class folder; "" when `problem` is set.
        problem: Why it is not an image of a class.
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
    """The entries of a folder that are not hidden, last one first."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: entry.name, reverse=True)
    return [((*parts, entry.name), entry) for entry in entries]


def _entry(path: tuple[str, ...], *, is_link_to_folder: bool) -> Entry:
    name = "/".join(path)
    if is_link_to_folder:
        problem = Problem("format", "is a link to a folder, which is not followed")
    elif not path[-1].lower().endswith(IMAGE_EXTENSIONS):
        problem = Problem("format", f"has no image extension ({', '.join(IMAGE_EXTENSIONS)})")
    elif len(path) == 1:
        problem = Problem("class", "is not in a class folder")
    else:
        return Entry(name, path[0])
    return Entry(name, "", problem)
