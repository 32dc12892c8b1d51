import hashlib
import logging
from dataclasses import replace

import numpy as np
import pytest

from job.checkpoints.layout import COMMIT, HEAD, list_dirs
from job.checkpoints.provenance import config_sha256
from job.checkpoints.records import Best, CommitRecord, parse
from job.checkpoints.restore import load_weights
from job.checkpoints.serialization import RunState
from job.errors import StorageOutageError
from job.storage.object_store import ObjectStat, ObjectStore
from tests.checkpoints.fault_stores import Refusing, Wrapped
from tests.checkpoints.tiny_run import (
    ENVIRONMENT,
    IDENTITY,
    LINEAGE,
    MODEL,
    RESUME,
    RUN_CONFIG,
    SPEC,
    STATE,
    acquired,
    check_invariants,
    check_nothing_left,
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
    manager._around = replace(manager._around, now=lambda: next(clock))
    result = manager.save(stepped(initial()), metrics={})
    assert (result.step, result.seconds) == (1, 2.5)
    assert result.bytes == len(store.read(f"{result.dir}/{STATE}").data)
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
    assert (commit.lineage, commit.writer) == (LINEAGE, "a")
    assert [one.name for one in commit.objects] == [MODEL, RESUME]
    for one in commit.objects:
        stat = store.stat(f"{folder}/{one.name}")
        assert stat is not None
        assert (one.size, one.crc32c) == (stat.size, stat.crc32c)
    assert commit.finite
    head = head_of(store)
    assert head.best is not None
    assert commit.best == head.best.checkpoint
    sha256 = hashlib.sha256(store.read(f"{folder}/{COMMIT}").data).hexdigest()
    assert head.best.commit_sha256 == head.checkpoints[0].commit_sha256 == sha256


def test_checkpoint_that_is_not_a_new_best_has_one_group_of_objects() -> None:
    store = MemoryStore()
    dir = acquired(store).save(stepped(initial()), metrics={}).dir
    assert [one.name for one in store.list(dir)] == [f"{dir}/{COMMIT}", f"{dir}/{STATE}"]


def diverged(state: RunState) -> RunState:
    poisoned = {**state.variables, "model|dense/kernel": np.full((2, 3), np.nan, np.float32)}
    return replace(state, variables=poisoned)


def test_checkpoints_of_a_model_that_diverged_never_displace_the_last_finite_one() -> None:
    store = MemoryStore()
    manager = acquired(store)
    state = initial()
    kept = []
    for is_finite in (True, True, False, False, True):
        state = stepped(state)
        manager.save(state if is_finite else diverged(state), metrics={})
        manager.collect_garbage()
        kept.append([(one.step, one.finite) for one in head_of(store).checkpoints])
        newest = parse(CommitRecord, store.read(f"{head_of(store).last}/{COMMIT}").data)
        assert newest.finite == is_finite
        check_nothing_left(store)
    finite, poisoned = [(2, True)], [(3, False), (4, False)]
    assert kept == [
        [(1, True)],
        finite,
        [*finite, poisoned[0]],
        [*finite, poisoned[1]],
        [(5, True)],
    ]


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
    assert [one.step for one in list_dirs(store).committed] == kept
    assert len(store.list("ckpt/")) == 2 * len(kept)


def test_weights_of_the_best_checkpoint_outlive_it_until_a_better_one_comes() -> None:
    store = MemoryStore()
    manager = acquired(store)
    state = initial()
    kept = []
    for step in range(1, 7):
        state = stepped(state)
        best = Best(step, step, "val_loss", 1 / step) if step in (2, 5) else None
        manager.save(state, metrics={}, best=best)
        manager.collect_garbage()
        check_nothing_left(store)
        check_loadable(store)
        head = head_of(store)
        assert [one.step for one in head.checkpoints] == [step]
        kept.append([one.step for one in list_dirs(store).committed])
    assert kept == [[1], [2], [2, 3], [2, 4], [5], [5, 6]]
    assert (head.best.step, head.is_best_restorable) == (5, False)
    names = [one.name.rpartition("/")[2] for one in store.list(head.best.dir)]
    assert names == [COMMIT, MODEL]


def check_loadable(store: ObjectStore) -> None:
    best = head_of(store).best
    if best is not None:
        weights = load_weights(store, best, identity=IDENTITY, expected=SPEC)
        assert weights.keys() == {"model|dense/kernel", "model|seed/state"}
        assert weights["model|seed/state"][1] == 1 + best.step  # counts the steps


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


def test_two_saves_at_one_step_are_both_kept_and_the_later_one_is_restored() -> None:
    store = MemoryStore()
    manager = acquired(store, keep_last=3)
    state = stepped(initial())
    first = manager.save(state, metrics={})
    later = replace(state, position=state.position.next_epoch())
    second = manager.save(later, metrics={})
    assert [one.dir for one in head_of(store).checkpoints] == [first.dir, second.dir]
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


@pytest.mark.parametrize("name", [MODEL, RESUME, COMMIT, HEAD])
def test_save_that_failed_can_be_repeated(name: str) -> None:
    store = MemoryStore()
    failing = [False]
    flaky = Refusing(
        store,
        StorageOutageError("down"),
        lambda call, at: call == "write" and at.endswith(name) and failing[0],
    )
    manager = saved_steps(flaky, steps=2, keep_last=2)
    state = stepped(stepped(stepped(initial())))
    best = Best(3, 1, "val_loss", 0.5)
    failing[0] = True
    with pytest.raises(StorageOutageError):
        manager.save(state, metrics={}, best=best)
    assert [one.step for one in head_of(store).checkpoints] == [1, 2]
    failing[0] = False
    manager.save(state, metrics={}, best=best)
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
    assert list_dirs(store).committed == []


def test_copied_run_resumes_and_still_drops_old_checkpoints() -> None:
    store, copy = MemoryStore(), MemoryStore()
    saved_steps(store, steps=3, keep_last=3)
    copy.write("padding", b"", if_generation=None)  # so every generation is another one
    for one in store.list(""):
        copy.write(one.name, store.read(one.name).data, if_generation=0)
    manager = acquired(copy, name="b", keep_last=1)
    restored = manager.restore(SPEC)
    assert restored is not None
    manager.save(stepped(restored.state), metrics={})
    manager.collect_garbage()
    assert [one.step for one in list_dirs(copy).committed] == [4]
    check_nothing_left(copy)
