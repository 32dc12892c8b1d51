import logging
from dataclasses import replace

import numpy as np
import pytest

from job.checkpoints.layout import COMMIT, HEAD, META, STATE, list_dirs
from job.checkpoints.records import Best, CommitRecord, config_sha256, parse
from job.errors import (
    InterruptedByUserError,
    JobError,
    PermissionDeniedError,
    PreemptedError,
    StorageOutageError,
)
from job.storage.object_store import ObjectStat, ObjectStore
from tests.checkpoints.fault_stores import Refusing, Wrapped
from tests.checkpoints.tiny_run import (
    END,
    ENVIRONMENT,
    RUN_CONFIG,
    SPEC,
    Attempt,
    acquired,
    check_invariants,
    fingerprint,
    head_of,
    initial,
    saved_steps,
    stepped,
)
from tests.fakes.memory_store import MemoryStore


def test_save_reports_and_logs_its_result(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = MemoryStore()
    manager = acquired(store)
    clock = iter([100.0, 102.5])
    manager._now = lambda: next(clock)
    result = manager.save(stepped(initial()), metrics={})
    objects = [store.read(f"{result.dir}/{name}").data for name in (STATE, META)]
    assert (result.step, result.seconds) == (1, 2.5)
    assert result.bytes == sum(len(data) for data in objects)
    event = next(one for one in caplog.records if one.message == "checkpoint committed")
    facts = {key: event.__dict__[key] for key in ("step", "dir", "bytes", "seconds")}
    assert facts == {"step": 1, "dir": result.dir, "bytes": result.bytes, "seconds": 2.5}


def test_commit_records_provenance_objects_and_metrics() -> None:
    store = MemoryStore()
    manager = acquired(store)
    state = stepped(initial())
    best = Best(1, 1, "val_loss", 0.5)
    folder = manager.save(state, metrics={"val_loss": 0.5, "loss": float("nan")}, best=best).dir
    commit = parse(CommitRecord, store.read(f"{folder}/{COMMIT}").data)
    assert (commit.run, commit.step, commit.epoch, commit.step_in_epoch) == ("tiny", 1, 0, 1)
    assert (commit.token, commit.config_sha256, commit.fingerprint) == (
        1,
        config_sha256(RUN_CONFIG),
        "data",
    )
    assert commit.versions == ENVIRONMENT["versions"]
    assert commit.topology == ENVIRONMENT["topology"]
    assert [one.name for one in commit.objects] == [STATE, META]
    for one in commit.objects:
        stat = store.stat(f"{folder}/{one.name}")
        assert stat is not None
        assert (one.size, one.crc32c, one.generation) == (
            stat.size,
            stat.crc32c,
            stat.generation,
        )
    assert commit.finite
    assert commit.best == head_of(store).best
    assert head_of(store).checkpoints[0].metric == 0.5


def test_poisoned_variables_are_marked_in_the_commit() -> None:
    store = MemoryStore()
    state = stepped(initial())
    poisoned = {**state.variables, "model|dense/kernel": np.full((2, 3), np.nan, np.float32)}
    folder = acquired(store).save(replace(state, variables=poisoned), metrics={}).dir
    assert not parse(CommitRecord, store.read(f"{folder}/{COMMIT}").data).finite


@pytest.mark.parametrize(
    ("keep_last", "kept"),
    [(1, [6]), (2, [5, 6]), (5, [2, 3, 4, 5, 6]), (9, [1, 2, 3, 4, 5, 6])],
)
def test_dropped_checkpoints_are_gone_from_head_and_store(
    keep_last: int, kept: list[int]
) -> None:
    store = MemoryStore()
    saved_steps(store, steps=6, keep_last=keep_last)
    assert [one.step for one in head_of(store).checkpoints] == kept
    found = list_dirs(store)
    assert [one.step for one in found.committed] == kept
    assert found.uncommitted == ()
    assert len(store.list("ckpt/")) == 3 * len(kept)


def test_best_checkpoint_outlives_the_others_until_a_better_one_comes() -> None:
    store = MemoryStore()
    manager = acquired(store)
    state = initial()
    kept = []
    for step in range(1, 7):
        state = stepped(state)
        best = Best(step, step, "val_loss", 1 / step) if step in (2, 5) else None
        manager.save(state, metrics={}, best=best)
        kept.append([one.step for one in head_of(store).checkpoints])
    assert kept == [[1], [2], [2, 3], [2, 4], [5], [5, 6]]


def test_best_that_ended_earlier_changes_nothing() -> None:
    store = MemoryStore()
    manager = acquired(store)
    first = stepped(initial())
    manager.save(first, metrics={}, best=Best(1, 1, "val_loss", 0.5))
    known = head_of(store).best
    manager.save(stepped(first), metrics={}, best=Best(1, 1, "val_loss", 0.5))
    assert head_of(store).best == known
    manager.save(stepped(stepped(first)), metrics={}, best=Best(2, 1, "val_loss", 0.1))
    assert head_of(store).best == known


def test_second_save_at_one_step_replaces_the_first() -> None:
    store = MemoryStore()
    manager = acquired(store, keep_last=3)
    state = stepped(initial())
    manager.save(state, metrics={})
    later = replace(state, position=state.position.next_epoch())
    second = manager.save(later, metrics={})
    assert [one.dir for one in head_of(store).checkpoints] == [second.dir]
    assert len(store.list("ckpt/")) == 3
    restored = manager.restore(SPEC)
    assert restored is not None
    assert restored.state.position.epoch == 1


def test_state_older_than_the_newest_checkpoint_is_not_saved() -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=3)
    before = store.list("")
    with pytest.raises(ValueError, match=r"step 1 is older .* restore before saving"):
        manager.save(stepped(initial()), metrics={})
    assert store.list("") == before


def test_checkpoint_that_cannot_be_deleted_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    denied = PermissionDeniedError("no permission to delete")
    attempt = Attempt(Refusing(store, denied, lambda call, name: call == "delete"))
    assert fingerprint(attempt.train()) == END
    assert caplog.messages.count("checkpoint not deleted") > 3
    assert [one.step for one in head_of(store).checkpoints] == [5, 10]
    assert len(list_dirs(store).committed) > 2


def test_refused_garbage_collection_does_not_stop_a_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    acquired(store)
    store.write(f"ckpt/{5:012d}-000001-00000000/{META}", b"", if_generation=0)
    denied = PermissionDeniedError("no permission to delete")
    acquired(Refusing(store, denied, lambda call, name: call == "delete"), name="b")
    assert "checkpoint not deleted" in caplog.messages


# What ends the waiting for a store: its budget, or what a sleep between two tries raises.
ENDS = [
    StorageOutageError("could not delete: 20 tries failed in 600 s"),
    PreemptedError("Stopped by SIGTERM."),
    InterruptedByUserError("Interrupted (Ctrl-C)."),
]


@pytest.mark.parametrize("error", ENDS)
@pytest.mark.parametrize("failing", ["read", "delete"])
def test_outage_while_old_checkpoints_are_deleted_ends_the_save_at_the_first_object(
    error: JobError, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=3, keep_last=3)
    tries = []

    def refuse(call: str, name: str) -> bool:
        if call == failing and name.startswith("ckpt/"):
            tries.append(name)
            return True
        return False

    again = acquired(Refusing(store, error, refuse), name="b", keep_last=1)
    state = stepped(stepped(stepped(stepped(initial()))))
    with pytest.raises(type(error)) as caught:
        again.save(state, metrics={})
    assert caught.value is error
    assert len(tries) == 1
    assert "checkpoint not deleted" not in caplog.messages
    # The commit is valid, and the next attempt deletes the rest.
    assert [one.step for one in head_of(store).checkpoints] == [4]
    del manager
    acquired(store, name="c").save(stepped(state), metrics={})
    check_invariants(store)


@pytest.mark.parametrize("error", ENDS)
def test_outage_while_garbage_is_collected_ends_the_start_at_the_first_object(
    error: JobError, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    acquired(store)
    for step in (5, 6):
        for name in (META, STATE):
            store.write(f"ckpt/{step:012d}-000001-00000000/{name}", b"", if_generation=0)
    tries = []

    def refuse(call: str, name: str) -> bool:
        tries.extend([name] if call == "delete" else [])
        return call == "delete"

    with pytest.raises(type(error)) as caught:
        acquired(Refusing(store, error, refuse), name="b")
    assert caught.value is error
    assert len(tries) == 1
    assert "checkpoint not deleted" not in caplog.messages


@pytest.mark.parametrize("name", [STATE, META, COMMIT, HEAD])
def test_save_that_failed_can_be_repeated(name: str) -> None:
    store = MemoryStore()
    failing = [True]
    outage = StorageOutageError("down")
    flaky = Refusing(
        store, outage, lambda call, at: call == "write" and at.endswith(name) and failing[0]
    )
    failing[0] = False
    manager = saved_steps(flaky, steps=2, keep_last=2)
    state = stepped(stepped(stepped(initial())))
    failing[0] = True
    with pytest.raises(StorageOutageError):
        manager.save(state, metrics={})
    assert [one.step for one in head_of(store).checkpoints] == [1, 2]
    failing[0] = False
    manager.save(state, metrics={})
    assert [one.step for one in head_of(store).checkpoints] == [2, 3]
    check_invariants(store)


class Garbling(Wrapped):
    """Keeps other bytes than it was sent, and says so truthfully."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        return super().write(
            name, data[:-1] if name.endswith(STATE) else data, if_generation=if_generation
        )


def test_store_that_keeps_other_bytes_is_noticed_before_the_commit() -> None:
    store = MemoryStore()
    manager = acquired(Garbling(store))
    with pytest.raises(StorageOutageError, match="is not what was written"):
        manager.save(stepped(initial()), metrics={})
    assert list_dirs(store).committed == ()


def copy_of(store: ObjectStore) -> MemoryStore:
    """The same objects under new generations, as a copied folder has them."""
    copy = MemoryStore()
    for _ in range(50):
        copy.write("padding", b"", if_generation=None)
    for one in store.list(""):
        copy.write(one.name, store.read(one.name).data, if_generation=0)
    return copy


def test_copied_run_resumes_and_still_drops_old_checkpoints() -> None:
    store = MemoryStore()
    saved_steps(store, steps=3, keep_last=3)
    copy = copy_of(store)
    manager = acquired(copy, name="b", keep_last=1)
    restored = manager.restore(SPEC)
    assert restored is not None
    manager.save(stepped(restored.state), metrics={})
    assert [one.step for one in list_dirs(copy).committed] == [4]
    assert len(copy.list("ckpt/")) == 3


def test_object_that_was_replaced_is_not_deleted(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=1)
    folder = head_of(store).checkpoints[0].dir
    store.write(f"{folder}/{META}", b"somebody's own", if_generation=None)
    manager.save(stepped(stepped(initial())), metrics={})
    assert [one.name for one in store.list(folder)] == [f"{folder}/{META}"]
    assert "object not deleted" in caplog.messages
