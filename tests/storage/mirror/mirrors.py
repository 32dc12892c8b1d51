"""A store that is watched while it is mirrored."""

from pathlib import Path
from typing import Any

from job.storage.mirror import Mirror
from job.storage.parallel import ParallelDownloader
from tests.fakes.memory_store import MemoryStore

PART = 1000


def content(size: int, *, seed: int = 0) -> bytes:
    return bytes((i * 7 + seed) % 251 for i in range(size))


def mirror_of(store: Any, folder: Path, *, access: ParallelDownloader | None = None) -> Mirror:
    return Mirror(
        store, folder=folder, place="sets/faces", access=access or ParallelDownloader()
    )


class Watched(MemoryStore):
    """Knows what was read of it, and lets something happen at each read."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[str, int]] = []
        self.stats: list[str] = []
        self.meanwhile: Any = lambda name, data: data

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        data = super().read_range(name, start=start, length=length, generation=generation)
        self.ranges.append((name, start))
        return self.meanwhile(name, data)

    def stat(self, name: str) -> Any:
        self.stats.append(name)
        return super().stat(name)
