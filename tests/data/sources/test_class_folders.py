import inspect
import os
import sys
from pathlib import Path

import pytest

from job.data.sources.class_folders import Entry, walk
from job.types import Problem


def tree(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def test_images_come_sorted_class_by_class(tmp_path):
    tree(
        tmp_path,
        "dog/b.png",
        "cat-2/a.PNG",
        "cat/x/1.jpg",
        "cat/b.jpeg",
        "cat/a.png",
        "B/a.png",
    )
    assert list(walk(tmp_path)) == [
        Entry("B/a.png", "B"),
        Entry("cat/a.png", "cat"),
        Entry("cat/b.jpeg", "cat"),
        Entry("cat/x/1.jpg", "cat"),
        Entry("cat-2/a.PNG", "cat-2"),
        Entry("dog/b.png", "dog"),
    ]


def test_hidden_files_and_folders_are_no_rows(tmp_path):
    tree(tmp_path, ".DS_Store", ".git/a.png", "cat/.a.png", "cat/.thumbs/a.png", "cat/a.png")
    assert list(walk(tmp_path)) == [Entry("cat/a.png", "cat")]


def test_other_files_are_bad_rows(tmp_path):
    tree(tmp_path, "README.md", "a.png", "cat/a.gif", "cat/png", "cat/a.png/b.png")
    is_none = Problem("format", "has no image extension (.png, .jpg, .jpeg)")
    assert list(walk(tmp_path)) == [
        Entry("README.md", "", is_none),
        Entry("a.png", "", Problem("class", "is not in a class folder")),
        Entry("cat/a.gif", "", is_none),
        Entry("cat/a.png/b.png", "cat"),
        Entry("cat/png", "", is_none),
    ]


def test_links_to_folders_are_not_followed_and_said(tmp_path):
    tree(tmp_path, "cat/a.png")
    (tmp_path / "cat/again").symlink_to(tmp_path)
    (tmp_path / "dog").symlink_to("cat")
    (tmp_path / "cat/b.png").symlink_to("a.png")
    (tmp_path / "cat/c.png").symlink_to("gone")
    is_link = Problem("format", "is a link to a folder, which is not followed")
    assert list(walk(tmp_path)) == [
        Entry("cat/a.png", "cat"),
        Entry("cat/again", "", is_link),
        Entry("cat/b.png", "cat"),
        Entry("cat/c.png", "cat"),
        Entry("dog", "", is_link),
    ]


def test_folders_may_be_deep(tmp_path):
    deep = tmp_path / "cat"
    deep.mkdir()
    for _ in range(200):
        deep /= "d"
        deep.mkdir()
    (deep / "a.png").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        (entry,) = walk(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert entry.path.count("/") == 201


def test_names_need_not_be_utf8(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(folder)
    with open(os.path.join(folder, b"\xff.png"), "wb"):
        pass
    assert list(walk(tmp_path)) == [Entry("caf\udce9/\udcff.png", "caf\udce9")]


def test_a_folder_that_may_not_be_read_is_an_error(open_folder: Path, unprivileged):
    tree(open_folder, "cat/a.png")
    (open_folder / "cat").chmod(0)
    try:
        with unprivileged(), pytest.raises(PermissionError):
            list(walk(open_folder))
    finally:
        (open_folder / "cat").chmod(0o755)
