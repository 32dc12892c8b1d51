"""What is deleted, what stays, and that a failure to delete fails nothing."""

from dataclasses import replace

import pytest

from job.checkpoints.layout import COMMIT, CONFIG, HEAD, list_dirs
from job.checkpoints.records import Best, dumps
from job.errors import (
    FencedError,
    InterruptedByUserError,
    JobError,
    PermissionDeniedError,
    PreemptedError,
    StorageOutageError,
)
from tests.checkpoints.fault_stores import Refusing
from tests.checkpoints.tiny_run import (
    END,
    RESUME,
    STATE,
    Attempt,
    acquired,
    check_invariants,
    check_nothing_left,
    fingerprint,
    head_of,
    initial,
    saved_steps,
    stepped,
)
from tests.fakes.memory_store import MemoryStore


def is_delete(call: str, name: str) -> bool:
    return call == "delete"


def litter(store: MemoryStore, *, token: int = 1) -> None:
    """Two directories without a commit record."""
    for step in (5, 6):
        for name in (RESUME, STATE):
            path = f"ckpt/{step:012d}-{token:06d}-00000000"
            store.write(f"{path}/{name}", b"", if_generation=0)


@pytest.mark.parametrize("error", [PermissionDeniedError, StorageOutageError])
def test_checkpoints_that_cannot_be_deleted_are_warnings_and_the_next_attempt_deletes_them(
    error: type[JobError], caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    attempt = Attempt(Refusing(store, error("not now"), is_delete))
    assert fingerprint(attempt.train()) == END
    assert caplog.messages.count("object not deleted") > 3
    assert [one.step for one in head_of(store).checkpoints] == [10]
    assert len(list_dirs(store).committed) > 2
    acquired(store, name="b")
    check_nothing_left(store)
    check_invariants(store)


# An outage lasts for the next object too; a stop request has to be obeyed at once.
@pytest.mark.parametrize("error", [StorageOutageError, PreemptedError, InterruptedByUserError])
def test_deletes_end_at_the_first_object_that_takes_too_long(error: type[JobError]) -> None:
    store = MemoryStore()
    acquired(store)
    litter(store)
    tries = []

    def refuse(call: str, name: str) -> bool:
        tries.extend([name] if call == "delete" else [])
        return call == "delete"

    refusing = Refusing(store, error("not now"), refuse)
    if error is StorageOutageError:
        acquired(refusing, name="b")
    else:
        with pytest.raises(error):
            acquired(refusing, name="b")
    assert len(tries) == 1


def test_object_that_is_gone_already_is_no_reason_to_warn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=1)
    dir = head_of(store).checkpoints[0].dir
    store.delete(f"{dir}/{COMMIT}", if_generation=None)
    manager.save(stepped(stepped(initial())), metrics={})
    manager.collect_garbage()
    assert "object not deleted" not in caplog.messages
    check_nothing_left(store)


def test_commit_record_is_deleted_before_the_data() -> None:
    deleted: list[str] = []

    def note(call: str, name: str) -> bool:
        deleted.extend([name.rpartition("/")[2]] if call == "delete" else [])
        return False

    saved_steps(Refusing(MemoryStore(), JobError(""), note), steps=3)
    assert deleted == [COMMIT, STATE, COMMIT, STATE]


def test_no_object_is_deleted_twice() -> None:
    deleted: list[str] = []

    def note(call: str, name: str) -> bool:
        deleted.extend([name] if call == "delete" else [])
        return False

    Attempt(Refusing(MemoryStore(), JobError(""), note)).train()
    assert any(name.endswith(RESUME) for name in deleted)
    assert len(deleted) == len(set(deleted))


def test_directories_of_the_newest_attempt_are_not_litter() -> None:
    store = MemoryStore()
    acquired(store)
    litter(store, token=2)
    acquired(store, name="b")  # attempt 2
    assert len(list_dirs(store).uncommitted) == 2
    acquired(store, name="c")
    assert list_dirs(store).objects == {}


def test_takeovers_of_a_living_writer_leave_nothing_behind() -> None:
    store = MemoryStore()
    for number in range(5):
        old = saved_steps(store, steps=0, name=f"{number}")
        acquired(store, name=f"{number} again")
        with pytest.raises(FencedError):
            old.save(stepped(initial()), metrics={})  # its data and its commit are there
    assert len(list_dirs(store).committed) == 1
    acquired(store, name="last")
    assert list_dirs(store).objects == {}


def test_weights_of_an_older_best_checkpoint_survive_a_rebuilt_head() -> None:
    store = MemoryStore()
    Attempt(store).train()
    before = head_of(store)
    store.delete(HEAD, if_generation=None)
    head = acquired(store, name="b").head
    assert (head.checkpoints, head.best) == (before.checkpoints, before.best)
    assert head.rejected == ()
    assert not head.is_best_restorable
    check_nothing_left(store)
    check_invariants(store)


def test_rebuilt_head_proves_nothing_so_committed_directories_stay() -> None:
    store = MemoryStore()
    head = saved_steps(store, steps=3, keep_last=3).head
    rewound = replace(head, checkpoints=head.checkpoints[:1], last=head.checkpoints[0].dir)
    forgetful = dumps(replace(rewound, owner=replace(head.owner, nonce="other")))
    store.write(HEAD, forgetful, if_generation=None)
    second = Attempt(Refusing(store, PermissionDeniedError("no"), is_delete), "b").acquire()
    second.save(stepped(stepped(initial())), metrics={})
    store.delete(HEAD, if_generation=None)
    before = store.list("ckpt/")
    manager = acquired(store, name="c", keep_last=3)
    # The later attempt went on from step 1, so steps 2 and 3 of the first are not of the run.
    assert [one.dir[-15:-9] for one in manager.head.checkpoints] == ["000001", "000002"]
    assert store.list("ckpt/") == before
    assert len(list_dirs(store).committed) == 4


@pytest.mark.parametrize("has_head", [True, False])
def test_commits_of_a_removed_run_are_neither_used_nor_deleted(
    has_head: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    manager = acquired(store)
    best = Best(1, 1, "val_loss", 0.5)
    manager.save(stepped(initial()), metrics={}, best=best)
    store.delete(CONFIG, if_generation=None)
    if not has_head:
        store.delete(HEAD, if_generation=None)
    else:  # of the removed run, beside the configuration of its successor
        fresh = MemoryStore()
        acquired(fresh, lineage="f" * 32)
        store.write(CONFIG, fresh.read(CONFIG).data, if_generation=0)
    before = store.list("ckpt/")
    for name in ("b", "c"):
        head = acquired(store, name=name, lineage="f" * 32).head
        assert (head.lineage, head.checkpoints, head.best) == ("f" * 32, (), None)
    assert store.list("ckpt/") == before
    assert "checkpoints of a removed run ignored" in caplog.messages
