from typing import Any

import pytest

from job.checkpoints.layout import HEAD, META, STATE, list_dirs
from job.checkpoints.records import Best
from job.checkpoints.restore import load_best, load_dir, load_last, read_head
from job.errors import CheckpointError, StorageOutageError
from tests.checkpoints.fault_stores import Refusing
from tests.checkpoints.tiny_run import (
    END,
    ENVIRONMENT,
    SPEC,
    Attempt,
    acquired,
    fingerprint,
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


def test_best_and_last_can_be_read_without_taking_the_run_over() -> None:
    store = trained()
    before = store.list("")
    head = read_head(store)
    assert head is not None
    best = load_best(store, head, expected=SPEC)
    last = load_last(store, head, expected=SPEC)
    assert best is not None
    assert last is not None
    assert (best.state.position.epoch, last.state.position.epoch) == (1, 2)
    assert fingerprint(last.state) == END
    assert load_dir(store, head, dir=best.dir, expected=SPEC).commit == best.commit
    assert store.list("") == before


def test_new_run_has_no_best_and_no_last() -> None:
    store = MemoryStore()
    head = acquired(store).head
    assert load_best(store, head, expected=SPEC) is None
    assert load_last(store, head, expected=SPEC) is None


def test_directory_that_is_not_in_head_is_rejected_with_those_that_are() -> None:
    store = trained()
    with pytest.raises(CheckpointError, match=r"no checkpoint 'ckpt/x'.*Available: ckpt/0"):
        load_dir(store, head_of(store), dir="ckpt/x", expected=SPEC)


def test_best_checkpoint_that_is_damaged_is_refused_by_name() -> None:
    store = trained()
    head = head_of(store)
    assert head.best is not None
    store.write(f"{head.best.dir}/{META}", b"{}", if_generation=None)
    with pytest.raises(CheckpointError, match=r"meta\.json has another size") as caught:
        load_best(store, head, expected=SPEC)
    assert head.best.dir in str(caught.value)


def test_fallback_takes_the_best_that_was_known_then() -> None:
    store = MemoryStore()
    manager = acquired(store, keep_last=3)
    first, second = stepped(initial()), stepped(stepped(initial()))
    manager.save(first, metrics={}, best=Best(1, 1, "val_loss", 0.5))
    newest = manager.save(second, metrics={}, best=Best(2, 2, "val_loss", 0.25)).dir
    store.delete(f"{newest}/{STATE}", if_generation=None)
    assert acquired(store, name="b").restore(SPEC) is not None
    head = head_of(store)
    assert head.best is not None
    assert (head.best.step, head.best.value, head.rejected[0].dir) == (1, 0.5, newest)


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
