"""An object store in a dictionary.

::

    store = MemoryStore()
    store.write("HEAD.json", b"{}", if_generation=0)
"""

import threading
from pathlib import Path

import google_crc32c

from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectTooLargeError,
    PreconditionFailedError,
    StoredObject,
    checked_name,
    checked_prefix,
    checked_range,
)


class MemoryStore:
    """An `ObjectStore` in a dictionary, safe between threads."""

    def __init__(self) -> None:
        self._objects: dict[str, StoredObject] = {}
        self._newest = 0
        self._lock = threading.Lock()

    @property
    def uri(self) -> str:
        return "memory://"

    def read(self, name: str, *, limit_bytes: int | None = None) -> StoredObject:
        found = self._objects.get(checked_name(name))
        if found is None:
            raise ObjectMissingError(name)
        if limit_bytes is not None and len(found.data) > limit_bytes:
            raise ObjectTooLargeError(f"{name}: {len(found.data)} bytes, limit {limit_bytes}")
        return found

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        checked_name(name)
        with self._lock:
            self._check(name, if_generation)
            # One counter for all names, so that an object deleted and written again cannot
            # come back under a generation somebody still remembers.
            self._newest += 1
            self._objects[name] = StoredObject(bytes(data), self._newest)
            return _stat(name, self._objects[name])

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        found = self.read(name)
        if found.generation != generation:
            raise ObjectMissingError(f"{name}: generation {generation}")
        return checked_range(name, found.data[start : start + length], length)

    def write_file(self, name: str, path: Path, *, if_generation: int | None) -> ObjectStat:
        return self.write(name, path.read_bytes(), if_generation=if_generation)

    def list(self, prefix: str) -> list[ListedObject]:
        checked_prefix(prefix)
        with self._lock:
            return [
                ListedObject(name, len(found.data), found.generation)
                for name, found in sorted(self._objects.items())
                if name.startswith(prefix)
            ]

    def delete(self, name: str, *, if_generation: int | None) -> None:
        with self._lock:
            if checked_name(name) not in self._objects:
                raise ObjectMissingError(name)
            self._check(name, if_generation)
            del self._objects[name]

    def stat(self, name: str) -> ObjectStat | None:
        found = self._objects.get(checked_name(name))
        return None if found is None else _stat(name, found)

    def _check(self, name: str, if_generation: int | None) -> None:
        found = self._objects.get(name)
        present = 0 if found is None else found.generation
        if if_generation is not None and present != if_generation:
            raise PreconditionFailedError(
                f"{name}: generation {present}, expected {if_generation}"
            )


def _stat(name: str, found: StoredObject) -> ObjectStat:
    return ObjectStat(
        name=name,
        size=len(found.data),
        generation=found.generation,
        crc32c=google_crc32c.value(found.data),
    )
