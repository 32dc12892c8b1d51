from dataclasses import replace
from typing import Any

import pytest

from job.checkpoints.layout import COMMIT, HEAD, list_dirs
from job.checkpoints.provenance import Identity
from job.checkpoints.records import Best, CommitRecord, dumps, parse
from job.checkpoints.restore import load_weights, read_head
from job.checkpoints.serialization import RunState, state_sha256
from job.checkpoints.surroundings import Surroundings
from job.errors import CheckpointError, StorageOutageError
from tests.checkpoints.fault_stores import Refusing
from tests.checkpoints.tiny_run import (
    ENVIRONMENT,
    IDENTITY,
    LINEAGE,
    MODEL,
    RESUME,
    SPEC,
    STATE,
    Attempt,
    acquired,
    head_of,
    initial,
    saved_steps,
    stepped,
)
from tests.fakes.memory_store import MemoryStore


@pytest.mark.parametrize(
    ("environment", "differs"),
    [
        (ENVIRONMENT, None),
        (
            {**ENVIRONMENT, "versions": {"tensorflow": "2.22.0"}},
            "versions.tensorflow: 2.21.0 -> 2.22.0",
        ),
        (
            {**ENVIRONMENT, "topology": {"replicas": 1, "threads": 4, "cpu": "x86"}},
            "topology.threads: 2 -> 4",
        ),
        (
            {
                "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
                "topology": {"replicas": 2, "threads": 2},
            },
            "versions.keras: None -> 3.15.1; topology.cpu: x86 -> None; "
            "topology.replicas: 1 -> 2",
        ),
    ],
)
def test_resume_elsewhere_logs_the_differences(
    environment: dict[str, Any], differs: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    saved_steps(store, steps=1)
    assert acquired(store, name="b", environment=environment).restore(SPEC) is not None
    found = [
        one.__dict__["differs"] for one in caplog.records if one.message == "resumed elsewhere"
    ]
    assert found == ([] if differs is None else [differs])


def test_other_model_is_refused_and_head_left_as_it_was() -> None:
    store = MemoryStore()
    saved_steps(store, steps=2, keep_last=2)
    manager = acquired(store, name="b")
    before = head_of(store)
    with pytest.raises(CheckpointError, match=r"shape \(2, 3\) of float32, expected \(2, 4\)"):
        manager.restore({**SPEC, "model|dense/kernel": ((2, 4), "float32")})
    assert head_of(store) == before


def trained() -> MemoryStore:
    store = MemoryStore()
    Attempt(store).train()
    return store


def test_weights_of_best_and_last_can_be_read_without_taking_the_run_over() -> None:
    store = trained()
    before = store.list("")
    head = read_head(store)
    assert head is not None
    assert head.best is not None
    for entry, step in ((head.best, 5), (head.checkpoints[-1], 10)):
        weights = load_weights(store, entry, identity=IDENTITY, expected=SPEC)
        expected = {k: v for k, v in state_at(step).variables.items() if k in weights}
        assert weights.keys() == {"model|dense/kernel", "model|seed/state"}
        assert state_sha256(weights) == state_sha256(expected)
    assert store.list("") == before


def state_at(step: int) -> RunState:
    """The weights of the undisturbed run."""
    state = initial()
    for _ in range(step):
        state = stepped(state)
    return state


def test_new_run_has_no_best_weights() -> None:
    assert acquired(MemoryStore()).load_best_weights(expected=SPEC) is None


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        (replace(IDENTITY, run="other"), "belongs to run 'tiny', not 'other'"),
        (replace(IDENTITY, lineage="f" * 32), "belongs to lineage 000000000000 of run 'tiny'"),
        (replace(IDENTITY, fingerprint="other"), "was written for data data, not other"),
    ],
)
def test_weights_of_another_run_are_refused(identity: Identity, says: str) -> None:
    store = trained()
    best = head_of(store).best
    assert best is not None
    with pytest.raises(CheckpointError, match=says):
        load_weights(store, best, identity=identity, expected=SPEC)


def test_commit_record_that_head_does_not_name_is_refused() -> None:
    store = trained()
    manager = acquired(store, name="b")
    name = f"{manager.head.last}/{COMMIT}"
    commit = parse(CommitRecord, store.read(name).data)
    store.write(name, dumps(replace(commit, finite=False)), if_generation=None)
    entry = manager.head.checkpoints[-1]
    with pytest.raises(CheckpointError, match=r"has sha256 [0-9a-f]{12}, HEAD expects"):
        load_weights(store, entry, identity=IDENTITY, expected=SPEC)


def test_fallback_takes_the_best_that_was_known_then() -> None:
    store = MemoryStore()
    manager = acquired(store, keep_last=3)
    first, second = stepped(initial()), stepped(stepped(initial()))
    manager.save(first, metrics={}, best=Best(1, 1, "val_loss", 0.5))
    newest = manager.save(second, metrics={}, best=Best(2, 2, "val_loss", 0.25)).dir
    store.delete(f"{newest}/{RESUME}", if_generation=None)
    assert acquired(store, name="b").restore(SPEC) is not None
    head = head_of(store)
    assert head.best is not None
    assert (head.best.step, head.best.value, head.rejected[0].dir) == (1, 0.5, newest)
    assert acquired(store, name="c").load_best_weights(expected=SPEC) is not None


def test_fallback_to_before_the_best_epoch_leaves_no_best() -> None:
    store = MemoryStore()
    manager = acquired(store, keep_last=3)
    first, second = stepped(initial()), stepped(stepped(initial()))
    manager.save(first, metrics={})
    newest = manager.save(second, metrics={}, best=Best(2, 2, "val_loss", 0.25)).dir
    store.delete(f"{newest}/{MODEL}", if_generation=None)
    assert acquired(store, name="b").restore(SPEC) is not None
    assert head_of(store).best is None


@pytest.mark.parametrize("nonces", ["12", "21"])
def test_rebuilt_head_keeps_the_best_of_two_checkpoints_at_one_step(nonces: str) -> None:
    # The end of the best epoch, and a stop request right after it.
    store = MemoryStore()
    names = (one * 8 for one in nonces)
    around = Surroundings(nonce=lambda: next(names), lineage=lambda: LINEAGE)
    manager = acquired(store, keep_last=3, around=around)
    best = manager.save(stepped(initial()), metrics={}, best=Best(1, 1, "val_loss", 0.5)).dir
    stopped = manager.save(stepped(initial()), metrics={}).dir
    before = head_of(store)
    store.delete(HEAD, if_generation=None)
    head = acquired(store, name="b").head
    assert {one.dir for one in head.checkpoints} == {best, stopped}
    assert head.best == before.best


def test_checkpoint_is_rejected_once() -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=2, keep_last=2)
    store.delete(f"{head_of(store).last}/{STATE}", if_generation=None)
    assert manager.restore(SPEC) is not None
    acquired(store, name="b")
    assert len(head_of(store).rejected) == 1


def test_last_commit_of_a_dead_attempt_is_adopted_only_if_it_verifies() -> None:
    for damaged in (False, True):
        store = MemoryStore()
        manager = saved_steps(store, steps=1, keep_last=2)
        dying = Refusing(store, StorageOutageError("dead"), lambda call, name: name == HEAD)
        manager._lease._store = dying
        with pytest.raises(StorageOutageError):
            manager.save(stepped(stepped(initial())), metrics={})
        orphan = list_dirs(store).committed[-1].path
        if damaged:
            store.write(f"{orphan}/{STATE}", b"", if_generation=None)
        head = acquired(store, name="b").head
        assert [one.step for one in head.checkpoints] == ([1] if damaged else [1, 2])
        assert [one.dir for one in head.rejected] == ([orphan] if damaged else [])
