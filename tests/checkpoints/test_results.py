"""What a run leaves beside its checkpoints belongs to its newest attempt."""

import pytest

from job.errors import FencedError, StorageOutageError
from job.storage.object_store import ObjectStat
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore

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
            acquired(self, name="b").write_result(NAME, b"new")


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


def test_result_is_removed_and_what_is_gone_needs_no_removing() -> None:
    store = MemoryStore()
    manager = acquired(store)
    manager.write_result(NAME, b"mine")
    manager.delete_result(NAME)
    manager.delete_result(NAME)
    assert store.stat(NAME) is None


def test_fenced_attempt_removes_nothing() -> None:
    store = MemoryStore()
    old, new = acquired(store, name="a"), acquired(store, name="b")
    new.write_result(NAME, b"new")
    with pytest.raises(FencedError, match=r"took over from attempt 1"):
        old.delete_result(NAME)
    assert content(store) == b"new"


def test_attempt_that_is_fenced_between_look_and_removal_removes_nothing() -> None:
    store = TakenOverAt()
    old = acquired(store, name="a")
    old.write_result(NAME, b"earlier")
    with pytest.raises(FencedError):
        old.delete_result(NAME)
    assert content(store) == b"new"


class Vanishing(MemoryStore):
    """Something removes the result just before an attempt does."""

    def delete(self, name: str, *, if_generation: int | None) -> None:
        super().delete(name, if_generation=None)
        super().delete(name, if_generation=if_generation)


def test_result_that_vanishes_meanwhile_counts_as_removed() -> None:
    store = Vanishing()
    manager = acquired(store)
    manager.write_result(NAME, b"mine")
    manager.delete_result(NAME)
    assert store.stat(NAME) is None


def test_results_are_found_by_the_beginning_of_their_names() -> None:
    manager = acquired(MemoryStore())
    for name in ("b/2.npz", "b/1.npz", "bc.npz", "summary.json"):
        manager.write_result(name, b"")
    assert manager.results("b/") == ["b/1.npz", "b/2.npz"]


class Contested(MemoryStore):
    """Something that is no attempt writes the result each time an attempt is about to."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if name == NAME:
            super().write(name, b"theirs", if_generation=None)
        return super().write(name, data, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int | None) -> None:
        super().write(name, b"theirs", if_generation=None)
        super().delete(name, if_generation=if_generation)


def test_result_that_somebody_else_keeps_writing_is_not_fought_over_for_ever() -> None:
    store = Contested()
    manager = acquired(store)
    with pytest.raises(StorageOutageError, match="changed 5 times while it was written"):
        manager.write_result(NAME, b"mine")
    with pytest.raises(StorageOutageError, match="changed 5 times while it was removed"):
        manager.delete_result(NAME)
