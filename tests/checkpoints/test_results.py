"""What a run leaves beside its checkpoints belongs to its newest attempt."""

import pytest

from job.errors import FencedError, StorageOutageError
from job.storage.memory import MemoryStore
from job.storage.protocol import ObjectStat
from tests.checkpoints.tiny_run import acquired

NAME = "summary.json"


def content(store: MemoryStore) -> bytes:
    return store.read(NAME).data


def test_result_is_written_and_written_again() -> None:
    store = MemoryStore()
    manager = acquired(store)
    manager.write_result(NAME, b"first")
    manager.write_result(NAME, b"second")
    assert content(store) == b"second"


def test_result_is_written_also_when_head_was_lost_meanwhile() -> None:
    store = MemoryStore()
    manager = acquired(store)
    store.delete("HEAD.json", if_generation=None)
    manager.write_result(NAME, b"mine")
    assert content(store) == b"mine"


def test_fenced_attempt_leaves_the_result_of_the_newer_one() -> None:
    store = MemoryStore()
    old, new = acquired(store, name="a"), acquired(store, name="b")
    new.write_result(NAME, b"new")
    with pytest.raises(FencedError, match=r"took over from attempt 1"):
        old.write_result(NAME, b"old")
    assert content(store) == b"new"


class TakenOverAt(MemoryStore):
    """Another attempt takes the run over, and leaves its result, just before a write."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if name == NAME and data == b"old":
            self.writes += 1
            if self.writes == 1:
                acquired(self, name="b").write_result(NAME, b"new")
        return super().write(name, data, if_generation=if_generation)

    writes = 0


@pytest.mark.parametrize("before", [None, b"earlier"])
def test_attempt_that_is_fenced_between_look_and_write_changes_nothing(
    before: bytes | None,
) -> None:
    store = TakenOverAt()
    old = acquired(store, name="a")
    if before is not None:
        old.write_result(NAME, before)
    with pytest.raises(FencedError):
        old.write_result(NAME, b"old")
    assert content(store) == b"new"


class Contested(MemoryStore):
    """Something that is no attempt writes the result each time an attempt is about to."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if name == NAME:
            super().write(name, b"theirs", if_generation=None)
        return super().write(name, data, if_generation=if_generation)


def test_result_that_somebody_else_keeps_writing_is_not_fought_over_for_ever() -> None:
    store = Contested()
    with pytest.raises(StorageOutageError, match="changed 5 times while it was written"):
        acquired(store).write_result(NAME, b"mine")
