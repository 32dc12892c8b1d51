"""What every object store offers: whole objects by name, with compare-and-swap.

The vocabulary is that of Google Cloud Storage, because that is the strictest store we run on:
an object is written whole or not at all, each write gives it a new *generation*, and a write or
delete can be made conditional on the generation it expects. A folder of files and a dictionary
in memory imitate it. What objects mean is left to `job.checkpoints`::

    seen = store.read("HEAD.json")
    store.write("HEAD.json", changed(seen.data), if_generation=seen.generation)
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MAX_NAME_BYTES = 1024  # Cloud Storage's own bound on an object name, in UTF-8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class ListedObject:
    """What a listing knows of an object; a checksum would cost a read of it.

    Attributes:
        name: Name below the store.
        size: Length in bytes.
        generation: Number of the write that produced it, > 0; a later write has a larger one.
    """

    name: str
    size: int
    generation: int


@dataclass(frozen=True)
class ObjectStat(ListedObject):
    """What is known of one object without handing out its bytes.

    Attributes:
        crc32c: Castagnoli CRC of the content, in [0, 2**32).
    """

    crc32c: int


@dataclass(frozen=True)
class StoredObject:
    """An object's content and the generation that content belongs to."""

    data: bytes
    generation: int


class ObjectMissingError(Exception):
    """There is no object of this name."""


class PreconditionFailedError(Exception):
    """The object's generation is not the one the caller expected; nothing was changed."""


class ObjectTooLargeError(Exception):
    """The object is longer than the caller was ready to read; nothing was read."""


class ObjectStore(Protocol):
    """A flat set of named, immutable contents.

    Names are relative paths with `/` between segments; see `checked_name`. Every method may
    raise `PermissionDeniedError`, `DiskFullError`, `ConfigError` or `StorageOutageError` from
    `job.errors` when the place behind the store refuses. Reading and listing never write.

    Attributes:
        uri: Where the objects are, for messages.
    """

    @property
    def uri(self) -> str: ...

    def read(self, name: str, *, limit_bytes: int | None = None) -> StoredObject:
        """Returns the whole object.

        Args:
            name: Name of the object.
            limit_bytes: Longest content accepted; None accepts any.

        Raises:
            ObjectMissingError: There is no such object.
            ObjectTooLargeError: It is longer than `limit_bytes`.
        """
        ...

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        """Returns a part of an object that may be too large to be read whole.

        No checksum covers a part: whoever has put all of them together compares the whole with
        `stat`.

        Args:
            name: Name of the object.
            start: First byte, >= 0.
            length: How many bytes, > 0.
            generation: Which generation's, as `stat` or `list` gave it.

        Raises:
            ObjectMissingError: There is no such object, or it has another generation by now.
            ValueError: The object ends before the range does.
        """
        ...

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        """Makes `data` the content of `name`, durably and all at once.

        Args:
            name: Name of the object.
            data: Its new content; may be empty.
            if_generation: Generation the object must have now; 0: it must not exist; None: any.

        Raises:
            PreconditionFailedError: The object has another generation.
        """
        ...

    def write_file(self, name: str, path: Path, *, if_generation: int | None) -> ObjectStat:
        """Does as `write` with the content of a file, which is never in memory whole.

        Args:
            name: Name of the object.
            path: The file; it must not change meanwhile.
            if_generation: As in `write`.

        Raises:
            PreconditionFailedError: The object has another generation.
        """
        ...

    def list(self, prefix: str) -> list[ListedObject]:
        """Returns the objects whose names begin with `prefix` ("" = all), sorted by name."""
        ...

    def delete(self, name: str, *, if_generation: int | None) -> None:
        """Removes an object.

        Args:
            name: Name of the object.
            if_generation: Generation the object must have now; None: any.

        Raises:
            ObjectMissingError: There is no such object.
            PreconditionFailedError: The object has another generation.
        """
        ...

    def stat(self, name: str) -> ObjectStat | None:
        """Returns what is known of an object, or None where there is none."""
        ...


def checked_name(name: str) -> str:
    """Returns `name` if it may name an object in every store.

    A segment may not begin with a dot: that rules out `.` and `..`, and keeps the files that a
    folder store needs for itself out of reach.

    Raises:
        ValueError: The name is empty, absolute, too long, or has an empty, dotted or
            unprintable segment.
    """
    problem = _problem(name, allow_partial=False)
    if problem:
        raise ValueError(f"object name {name!r}: {problem}. Use segments such as 'ckpt/a.npz'.")
    return name


def checked_prefix(prefix: str) -> str:
    """Returns `prefix` if a listing may be asked for it; it may be empty or end anywhere.

    Raises:
        ValueError: No valid name could begin like this.
    """
    problem = _problem(prefix, allow_partial=True) if prefix else ""
    if problem:
        raise ValueError(f"prefix {prefix!r}: {problem}. Use the beginning of a name, or ''.")
    return prefix


def checked_range(name: str, data: bytes, length: int) -> bytes:
    """Returns `data`, read from an object, if it is as long as what was asked for.

    Raises:
        ValueError: It is shorter.
    """
    if len(data) < length:
        raise ValueError(f"{name}: it ends {length - len(data)} bytes before the range does")
    return data


def _problem(name: str, *, allow_partial: bool) -> str:
    """Says what is wrong with a name, or returns ""."""
    try:
        num_bytes = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    segments = name.split("/")
    if allow_partial and segments[-1] == "":
        segments.pop()
    if num_bytes > MAX_NAME_BYTES:
        return f"it has {num_bytes} bytes, more than {MAX_NAME_BYTES}"
    if _CONTROL.search(name):
        return "it has a control character"
    if not segments or "" in segments:
        return "it is absolute or has an empty segment"
    if any(segment.startswith(".") for segment in segments):
        return "a segment begins with a dot"
    return ""
