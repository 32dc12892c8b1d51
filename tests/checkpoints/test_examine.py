from dataclasses import replace

import numpy as np
import pytest

from job.checkpoints.examine import (
    damage_of,
    entries_of,
    leftovers,
    read_contents,
    read_run,
)
from job.checkpoints.layout import CONFIG, HEAD
from job.checkpoints.records import Best
from job.checkpoints.serialization import RunState
from job.errors import CheckpointError, ConfigError
from tests.checkpoints.tiny_run import (
    IDENTITY,
    SPEC,
    acquired,
    epoch_ended,
    initial,
    saved_steps,
    stepped,
)
from tests.fakes.memory_store import MemoryStore


def trained() -> RunState:
    state = initial()
    for _ in range(5):
        state = stepped(state)
    return state


def best_without_training_state(store: MemoryStore) -> None:
    """The best epoch is that of step 5; only its weights outlive the saves that follow."""
    manager = acquired(store)
    manager.restore(SPEC)
    state, metrics, _ = epoch_ended(trained())
    manager.save(state, metrics=metrics, best=Best(5, 1, "val_loss", 0.25))
    for _ in range(2):
        state = stepped(state)
        manager.save(state, metrics={})
        manager.collect_garbage()


def test_a_place_without_a_run_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"contains no run: config\.json is missing"):
        read_run(MemoryStore())


@pytest.mark.parametrize("content", [None, b"{"])
def test_a_run_whose_head_is_lost_is_not_examined(content: bytes | None) -> None:
    store = MemoryStore()
    saved_steps(store, steps=1)
    store.delete(HEAD, if_generation=None)
    if content is not None:
        store.write(HEAD, content, if_generation=0)
    with pytest.raises(CheckpointError, match="rebuilds it from the commits"):
        read_run(store)


def test_contents_are_what_was_saved() -> None:
    store = MemoryStore()
    manager = acquired(store)
    state = trained()
    # Larger than a shard: stored in slices.
    large = np.arange(5_000_000, dtype=np.float32)
    state = replace(state, variables={**state.variables, "model|large@b": large})
    manager.save(state, metrics={})
    contents = read_contents(store, entries_of(manager.head)[-1], identity=IDENTITY)
    assert contents.variables.keys() == state.variables.keys()
    for key, array in state.variables.items():
        np.testing.assert_array_equal(contents.variables[key], array)
    assert contents.meta["callbacks"] == state.callbacks
    assert contents.commit.step == 5


def test_a_changed_object_is_named() -> None:
    store = MemoryStore()
    saved_steps(store, steps=1)
    run = read_run(store)
    [entry] = entries_of(run.head)
    assert damage_of(store, entry, run=run) == ""
    name = f"{entry.dir}/state-00000-of-00001.npz"
    data = bytearray(store.read(name).data)
    data[len(data) // 2] ^= 1
    store.write(name, bytes(data), if_generation=None)
    assert "state-00000-of-00001.npz has another" in damage_of(store, entry, run=run)


def test_the_best_checkpoint_needs_its_weights_alone() -> None:
    store = MemoryStore()
    best_without_training_state(store)
    run = read_run(store)
    best, last = entries_of(run.head)
    assert (best.step, last.step) == (5, 7)
    assert damage_of(store, best, run=run) == ""
    weights = read_contents(store, best, identity=IDENTITY, wants_weights=True)
    assert set(weights.variables) == {"model|dense/kernel", "model|seed/state"}
    store.delete(f"{best.dir}/model-00000-of-00001.npz", if_generation=None)
    assert "model-00000-of-00001.npz is missing" in damage_of(store, best, run=run)


def test_what_older_attempts_left_is_found_and_nothing_else() -> None:
    store = MemoryStore()
    first = saved_steps(store, steps=1)
    garbage = [
        "ckpt/000000000009-000001-0000000a/state-00000-of-00001.npz",
        "results/000000000001-000001-0000000b/summary.json",
    ]
    kept = [
        "ckpt/000000000009-000002-0000000a/state-00000-of-00001.npz",  # being written
        "results/000000000001-000002-0000000b/summary.json",  # about to be published
        "results/000000000001-000001-0000000c/export/manifest.json",
        "results/000000000001-000001-0000000c/history.json",  # in the directory of a result
        "summary.json",
    ]
    first.finish("completed", "done", results={"export/manifest.json": kept[2]})
    manager = acquired(store, name="b")
    for name in [*garbage, *kept]:
        store.write(name, b"x", if_generation=0)
    found = leftovers(store, read_run(store))
    assert [one.name for one in found] == garbage
    assert manager.head.last is not None
    assert {one.size for one in found} == {1}


def test_config_and_head_are_never_leftovers() -> None:
    store = MemoryStore()
    saved_steps(store, steps=3)
    acquired(store, name="b")
    assert {HEAD, CONFIG}.isdisjoint(one.name for one in leftovers(store, read_run(store)))
