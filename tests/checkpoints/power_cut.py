"""What of a folder survives a power cut: what was forced to disk, and not more.

`Disk` looks at what a program asks of the operating system, and keeps for each file what it
contained, and for each folder which names it had, when it was last forced to disk::

    disk = Disk(tmp_path)
    with monkeypatch.context() as patch:
        disk.install(patch)
        store.write("a", b"1", if_generation=0)
    disk.survivors(keeps_names=False)  # {"run/a": b"1"}

Nothing is forced to the real disk meanwhile.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Node:
    """A file or folder; the inode of one that was deleted is used again."""

    inode: int
    birth: int
    is_folder: bool


class Disk:
    """A folder and what of it is on disk.

    Args:
        folder: It is on disk itself, and empty.
        then: Called after each change that could be the last one.
    """

    def __init__(self, folder: Path, *, then: Callable[[], object] = lambda: None) -> None:
        self._folder = folder
        self._then = then
        self._open, self._mkdir = os.open, os.mkdir
        self._births: dict[int, int] = {}
        self._content: dict[Node, bytes] = {}
        self._names: dict[Node, dict[str, Node]] = {}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Watches from now on."""
        for name in ("fsync", "open", "mkdir"):
            patch.setattr(os, name, getattr(self, f"_watched_{name}"))
        for name in ("rename", "unlink", "rmdir"):
            patch.setattr(os, name, self._noted(getattr(os, name)))

    def survivors(self, *, keeps_names: bool) -> dict[str, bytes]:
        """Content of the files after a power cut, by path in the folder.

        Args:
            keeps_names: Whether every name is on disk, also one that was not forced there: the
                file system may have written it by itself, before the content.
        """
        found: dict[str, bytes] = {}
        self._walk(self._node(os.stat(self._folder)), "", found, keeps_names=keeps_names)
        return found

    def _walk(
        self, folder: Node, path: str, found: dict[str, bytes], *, keeps_names: bool
    ) -> None:
        names = self._names.get(folder, {})
        if keeps_names:
            names = self._names_in(self._folder / path)
        for name, node in names.items():
            if node.is_folder:
                self._walk(node, f"{path}{name}/", found, keeps_names=keeps_names)
            elif not name.startswith("."):  # no object
                found[f"{path}{name}"] = self._content.get(node, b"")

    def _node(self, info: os.stat_result) -> Node:
        return Node(info.st_ino, self._births.get(info.st_ino, 0), stat.S_ISDIR(info.st_mode))

    def _names_in(self, folder: Any) -> dict[str, Node]:
        with os.scandir(folder) as entries:
            return {one.name: self._node(one.stat(follow_symlinks=False)) for one in entries}

    def _watched_fsync(self, fd: int) -> None:
        node = self._node(os.fstat(fd))
        if node.is_folder:
            self._names[node] = self._names_in(fd)
        else:
            self._content[node] = Path(f"/proc/self/fd/{fd}").read_bytes()
        self._then()

    def _watched_open(self, path: Any, flags: int, *args: Any, **options: Any) -> int:
        fd = self._open(path, flags, *args, **options)
        if flags & os.O_TRUNC:
            self._is_born(os.fstat(fd).st_ino)
        return fd

    def _watched_mkdir(self, path: Any, *args: Any, **options: Any) -> None:
        self._mkdir(path, *args, **options)
        self._is_born(os.stat(path).st_ino)
        self._then()

    def _is_born(self, inode: int) -> None:
        self._births[inode] = self._births.get(inode, 0) + 1

    def _noted(self, change: Callable[..., object]) -> Callable[..., None]:
        def noted(*args: Any, **options: Any) -> None:
            change(*args, **options)
            self._then()

        return noted
