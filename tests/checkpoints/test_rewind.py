import pytest

from job.checkpoints.layout import list_dirs
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.records import Best
from job.errors import CheckpointError, ConfigError
from tests.checkpoints.tiny_run import SPEC, acquired, fingerprint, initial, stepped
from tests.fakes.memory_store import MemoryStore

KEEP = 4


def run_of(store: MemoryStore, *, best_steps: tuple[int, ...] = ()) -> CheckpointManager:
    """Saves after each of four steps; some of them are the best so far."""
    manager = acquired(store, keep_last=KEEP)
    state = initial()
    for step in range(1, KEEP + 1):
        state = stepped(state)
        best = Best(step, 1, "val_loss", 1.0 / step) if step in best_steps else None
        manager.save(state, metrics={}, best=best)
    return manager


def test_later_checkpoints_are_dropped_and_deleted() -> None:
    store = MemoryStore()
    run_of(store)
    manager = acquired(store, name="b", keep_last=KEEP)
    manager.rewind(2)
    assert [one.step for one in manager.head.checkpoints] == [1, 2]
    restored = manager.restore(SPEC)
    assert restored is not None
    assert fingerprint(restored.state) == fingerprint(stepped(stepped(initial())))
    manager.save(stepped(restored.state), metrics={})
    manager.collect_garbage()
    assert [(one.step, one.token) for one in list_dirs(store).committed] == [
        (1, 1),
        (2, 1),
        (3, 2),
    ]


def test_a_process_killed_before_the_delete_leaves_garbage_only() -> None:
    store = MemoryStore()
    run_of(store)
    acquired(store, name="b", keep_last=KEEP).rewind(2)
    third = acquired(store, name="c", keep_last=KEEP)
    assert [one.step for one in third.head.checkpoints] == [1, 2]
    assert [one.step for one in list_dirs(store).committed] == [1, 2]


@pytest.mark.parametrize(("best_steps", "best"), [((), None), ((4,), None), ((1, 3), 1)])
def test_the_best_checkpoint_is_that_of_the_step(
    best_steps: tuple[int, ...], best: int | None
) -> None:
    store = MemoryStore()
    manager = run_of(store, best_steps=best_steps)
    manager.rewind(2)
    assert (manager.head.best.step if manager.head.best else None) == best


def test_a_best_checkpoint_of_which_nothing_is_left_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    # Step 1 was the best epoch of step 2; its checkpoint has left the newest three.
    manager = acquired(store, keep_last=3)
    state = initial()
    for step in range(1, KEEP + 1):
        state = stepped(state)
        best = Best(step, 1, "val_loss", 1.0 / step) if step in (1, 4) else None
        manager.save(state, metrics={}, best=best)
    manager.rewind(2)
    assert manager.head.best is None
    assert "best checkpoint lost" in caplog.messages


def test_an_unknown_step_is_refused_with_the_known_ones() -> None:
    store = MemoryStore()
    manager = run_of(store)
    before = manager.head
    with pytest.raises(ConfigError, match=r"--from 7: .* There are: 1, 2, 3, 4\."):
        manager.rewind(7)
    assert manager.head == before


def test_a_damaged_checkpoint_is_refused_and_nothing_dropped() -> None:
    store = MemoryStore()
    manager = run_of(store)
    before = manager.head
    name = f"{before.checkpoints[1].dir}/state-00000-of-00001.npz"
    store.write(name, b"damaged", if_generation=None)
    with pytest.raises(CheckpointError, match="Nothing was changed"):
        manager.rewind(2)
    assert manager.head == before
