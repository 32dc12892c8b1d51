"""Files other than checkpoints belong to the newest attempt of a run."""

import pytest

from job.errors import FencedError, JobError, StorageOutageError
from job.storage.object_store import ObjectStat
from tests.checkpoints.fault_stores import Refusing
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore

NAME = "summary.json"


def content(store: MemoryStore) -> bytes:
    return store.read(NAME).data


def test_file_is_written_and_replaced() -> None:
    store = MemoryStore()
    manager = acquired(store)
    manager.files.write(NAME, b"first")
    manager.files.write(NAME, b"second")
    assert content(store) == b"second"


def test_first_file_of_a_new_run_takes_one_request() -> None:
    calls: list[str] = []

    def note(call: str, name: str) -> bool:
        calls.append(f"{call} {name}")
        return False

    store = MemoryStore()
    manager = acquired(Refusing(store, JobError(""), note))
    calls.clear()
    manager.files.create(NAME, b"first")
    assert calls == [f"write {NAME}"]
    manager.files.create(NAME, b"second")
    assert content(store) == b"second"


def test_fenced_attempt_creates_nothing_over_a_file_of_the_newer_one() -> None:
    store = MemoryStore()
    old, new = acquired(store, name="a"), acquired(store, name="b")
    new.files.create(NAME, b"new")
    with pytest.raises(FencedError, match=r"took over from attempt 1"):
        old.files.create(NAME, b"old")
    assert content(store) == b"new"


def test_file_is_written_also_if_head_was_lost_meanwhile() -> None:
    store = MemoryStore()
    manager = acquired(store)
    store.delete("HEAD.json", if_generation=None)
    manager.files.write(NAME, b"mine")
    assert content(store) == b"mine"


def test_fenced_attempt_leaves_the_file_of_the_newer_one() -> None:
    store = MemoryStore()
    old, new = acquired(store, name="a"), acquired(store, name="b")
    new.files.write(NAME, b"new")
    with pytest.raises(FencedError, match=r"took over from attempt 1"):
        old.files.write(NAME, b"old")
    assert content(store) == b"new"


class TakenOverAt(MemoryStore):
    """Another attempt takes the run over, and leaves its result, just before a change."""

    changes = 0

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if name == NAME and data == b"old":
            self.take_over()
        return super().write(name, data, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int | None) -> None:
        if name == NAME:
            self.take_over()
        super().delete(name, if_generation=if_generation)

    def take_over(self) -> None:
        self.changes += 1
        if self.changes == 1:
            acquired(self, name="b").files.write(NAME, b"new")


@pytest.mark.parametrize("before", [None, b"earlier"])
def test_attempt_that_is_fenced_between_lookup_and_write_changes_nothing(
    before: bytes | None,
) -> None:
    store = TakenOverAt()
    old = acquired(store, name="a")
    if before is not None:
        old.files.write(NAME, before)
    with pytest.raises(FencedError):
        old.files.write(NAME, b"old")
    assert content(store) == b"new"


def test_file_is_deleted_and_a_missing_one_is_not_an_error() -> None:
    store = MemoryStore()
    manager = acquired(store)
    manager.files.write(NAME, b"mine")
    manager.files.delete(NAME)
    manager.files.delete(NAME)
    assert store.stat(NAME) is None


def test_fenced_attempt_removes_nothing() -> None:
    store = MemoryStore()
    old, new = acquired(store, name="a"), acquired(store, name="b")
    new.files.write(NAME, b"new")
    with pytest.raises(FencedError, match=r"took over from attempt 1"):
        old.files.delete(NAME)
    assert content(store) == b"new"


def test_attempt_that_is_fenced_between_lookup_and_delete_deletes_nothing() -> None:
    store = TakenOverAt()
    old = acquired(store, name="a")
    old.files.write(NAME, b"earlier")
    with pytest.raises(FencedError):
        old.files.delete(NAME)
    assert content(store) == b"new"


class Vanishing(MemoryStore):
    """Something removes the result just before an attempt does."""

    def delete(self, name: str, *, if_generation: int | None) -> None:
        super().delete(name, if_generation=None)
        super().delete(name, if_generation=if_generation)


def test_file_that_vanishes_meanwhile_counts_as_deleted() -> None:
    store = Vanishing()
    manager = acquired(store)
    manager.files.write(NAME, b"mine")
    manager.files.delete(NAME)
    assert store.stat(NAME) is None


def test_files_are_listed_by_prefix() -> None:
    manager = acquired(MemoryStore())
    for name in ("b/2.npz", "b/1.npz", "bc.npz", "summary.json"):
        manager.files.write(name, b"")
    assert manager.files.list("b/") == ["b/1.npz", "b/2.npz"]


class Contested(MemoryStore):
    """Something that is no attempt writes the result each time an attempt is about to."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if name == NAME:
            super().write(name, b"theirs", if_generation=None)
        return super().write(name, data, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int | None) -> None:
        super().write(name, b"theirs", if_generation=None)
        super().delete(name, if_generation=if_generation)


def test_file_that_something_else_keeps_writing_ends_in_an_error() -> None:
    store = Contested()
    manager = acquired(store)
    with pytest.raises(StorageOutageError, match="changed 5 times while it was written"):
        manager.files.write(NAME, b"mine")
    with pytest.raises(StorageOutageError, match="changed 5 times while it was removed"):
        manager.files.delete(NAME)
