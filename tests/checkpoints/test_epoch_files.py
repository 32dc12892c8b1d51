"""One file an epoch: what is kept, and that no death in between loses or litters."""

import pytest

from job.checkpoints.fenced_files import EpochFiles
from job.errors import (
    DiskFullError,
    FencedError,
    JobError,
    PermissionDeniedError,
    PreemptedError,
    StorageOutageError,
)
from job.storage.object_store import ObjectStore
from tests.checkpoints.fault_stores import Crash, CrashingStore, Refusing
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore

FOLDER = "activations"


def files_in(store: ObjectStore, *, keep: int = 2, attempt: str = "a") -> EpochFiles:
    return EpochFiles(
        acquired(store, name=attempt).files, directory=FOLDER, keep=keep, key="a.keep"
    )


def names(store: ObjectStore) -> list[str]:
    return [listed.name for listed in store.list(f"{FOLDER}/")]


def write(files: EpochFiles, *epochs: int) -> None:
    for epoch in epochs:
        files.write(epoch, f"epoch {epoch}".encode())


def test_file_is_called_after_its_epoch_and_the_newest_ones_are_kept() -> None:
    store = MemoryStore()
    files = files_in(store, keep=3)
    assert files.write(1, b"") == "activations/epoch-0001.npz"
    write(files, 2, 3, 4)
    assert files.epochs() == [2, 3, 4]
    assert store.read("activations/epoch-0004.npz").data == b"epoch 4"


def test_ten_thousandth_epoch_does_not_end_the_order() -> None:
    files = files_in(MemoryStore())
    write(files, 9_999, 10_000, 10_001)
    assert files.epochs() == [10_000, 10_001]


def test_files_of_later_epochs_stay_until_training_gets_there_again() -> None:
    store = MemoryStore()
    write(files_in(store), 1, 2, 3, 4)
    again = files_in(store, attempt="b")
    write(again, 2)
    assert again.epochs() == [2, 3, 4]
    write(again, 3, 4, 5)
    assert again.epochs() == [4, 5]


def test_keeping_fewer_removes_what_was_kept_before() -> None:
    store = MemoryStore()
    write(files_in(store, keep=4), 1, 2, 3, 4)
    write(files_in(store, keep=1, attempt="b"), 5)
    assert names(store) == ["activations/epoch-0005.npz"]


def test_foreign_files_in_the_directory_stay() -> None:
    store = MemoryStore()
    others = ["epoch-0001.npz.txt", "epoch-00001.npz", "epoch-01.npz", "deep/epoch-0001.npz"]
    for other in others:
        store.write(f"{FOLDER}/{other}", b"", if_generation=0)
    files = files_in(store, keep=1)
    write(files, 7)
    assert files.epochs() == [7]
    assert set(names(store)) == {f"{FOLDER}/{name}" for name in (*others, "epoch-0007.npz")}


def test_fenced_attempt_changes_nothing() -> None:
    store = MemoryStore()
    old, new = files_in(store, keep=1), files_in(store, keep=1, attempt="b")
    write(new, 1)
    with pytest.raises(FencedError):
        old.write(2, b"")
    assert new.epochs() == [1]


@pytest.mark.parametrize("error", [PermissionDeniedError, StorageOutageError])
def test_file_that_cannot_be_deleted_is_a_warning(
    error: type[JobError], caplog: pytest.LogCaptureFixture
) -> None:
    store = Refusing(MemoryStore(), error("not now"), lambda call, name: call == "delete")
    files = files_in(store, keep=1)
    write(files, 1, 2)
    assert files.epochs() == [1, 2]
    (warning,) = (one for one in caplog.records if one.message == "object not deleted")
    assert warning.__dict__["object"] == "activations/epoch-0001.npz"


def test_full_disk_names_the_setting_that_makes_room() -> None:
    full = DiskFullError("cannot write: free some space.")
    files = files_in(Refusing(MemoryStore(), full, lambda call, name: name.endswith(".npz")))
    with pytest.raises(DiskFullError, match=r"free some space\. .*fewer .*\(a\.keep\)"):
        write(files, 1)


def test_outage_while_deleting_costs_one_wait_and_keeps_the_file_that_was_written() -> None:
    away = StorageOutageError("could not delete: 20 tries failed in 30 s")
    tries = []

    def refuse(call: str, name: str) -> bool:
        tries.extend([name] if call == "delete" else [])
        return call == "delete"

    files = files_in(Refusing(MemoryStore(), away, refuse), keep=1)
    write(files, 1, 2)
    tries.clear()
    write(files, 3)
    assert len(tries) == 1
    assert files.epochs() == [1, 2, 3]


def test_stop_request_ends_the_deletes() -> None:
    stopped = PreemptedError("Stopped by SIGTERM.")
    store = Refusing(MemoryStore(), stopped, lambda call, name: call == "delete")
    files = files_in(store, keep=1)
    write(files, 1)
    with pytest.raises(PreemptedError):
        files.write(2, b"")


@pytest.mark.parametrize("after", [False, True])
def test_death_at_any_call_leaves_whole_files_and_the_next_attempt_ends_with_the_newest(
    after: bool,
) -> None:
    num_deaths = 0
    for crash_at in range(1, 100):
        store = MemoryStore()
        try:
            write(files_in(CrashingStore(store, crash_at=crash_at, after=after)), 1, 2, 3, 4)
        except Crash:
            num_deaths += 1
        else:
            break
        left = files_in(store, attempt="b")
        found = left.epochs()
        assert found in ([], [1], [1, 2], [1, 2, 3], [2, 3], [2, 3, 4], [3, 4])
        for epoch in found:
            name = f"{FOLDER}/epoch-{epoch:04d}.npz"
            assert store.read(name).data == f"epoch {epoch}".encode()
        write(left, *range(max(found, default=0) or 1, 6))
        assert left.epochs() == [4, 5]
    assert num_deaths > 20
