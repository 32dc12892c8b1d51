import json
from collections.abc import Callable

import numpy as np
import pytest

from job.checkpoints.canonical_json import loads
from job.checkpoints.layout import CONFIG, HEAD
from job.checkpoints.lease import Lease, write_if_generation
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.records import Owner, dumps
from job.checkpoints.restore import read_head
from job.checkpoints.surroundings import Surroundings
from job.errors import FencedError, StorageOutageError
from job.storage.object_store import StoredObject
from tests.checkpoints.fault_stores import LostAnswerStore, Meanwhile, Wrapped
from tests.checkpoints.tiny_run import (
    SPEC,
    STATE,
    acquired,
    head_of,
    initial,
    saved_steps,
    stepped,
)
from tests.fakes.memory_store import MemoryStore


def test_end_of_a_run_can_be_told_from_head_alone() -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=1)
    manager.finish(
        "completed", "early stop", facts=dict(outcome="completed", epochs=2, global_step=10)
    )
    reads: list[str] = []

    class Reading(Wrapped):
        def read(self, name: str, *, limit_bytes: int | None = None) -> StoredObject:
            reads.append(name)
            return super().read(name, limit_bytes=limit_bytes)

    head = read_head(Reading(store))
    assert head is not None
    assert (head.status, head.reason) == ("completed", "early stop")
    assert head.facts == {"outcome": "completed", "epochs": 2, "global_step": 10}
    assert reads == [HEAD]


def test_next_attempt_clears_how_the_last_one_ended() -> None:
    store = MemoryStore()
    acquired(store).finish("failed", "the loss is not finite", facts=dict(outcome="failed"))
    acquired(store, name="b")
    head = head_of(store)
    assert (head.status, head.reason, head.facts) == ("running", "", {})


@pytest.mark.parametrize("act", ["save", "finish", "restore"])
def test_fenced_attempt_ends_with_78_and_deletes_nothing(act: str) -> None:
    store = MemoryStore()
    old = saved_steps(store, steps=3, keep_last=2)
    broken = f"{head_of(store).last}/{STATE}"
    acquired(store, name="b")
    head = head_of(store)
    if act == "restore":  # an attempt that has to reject something writes HEAD
        store.write(broken, b"{}", if_generation=None)
    names = {one.name for one in store.list("")}
    with pytest.raises(FencedError, match=r"attempt 2 .*took over from attempt 1") as caught:
        {
            "save": lambda: old.save(stepped(stepped(stepped(initial()))), metrics={}),
            "finish": lambda: old.finish("completed", "done"),
            "restore": lambda: old.restore(SPEC),
        }[act]()
    assert caught.value.exit_code == 78
    assert head_of(store) == head
    assert names <= {one.name for one in store.list("")}


@pytest.mark.parametrize("how", ["deleted", "damaged", "huge", "older copy"])
def test_head_that_was_tampered_with_is_written_again_by_its_holder(how: str) -> None:
    store = MemoryStore()
    manager = acquired(store, keep_last=2)
    older = store.read(HEAD).data
    state = stepped(initial())
    manager.save(state, metrics={})
    if how == "deleted":
        store.delete(HEAD, if_generation=None)
    else:
        data = {"damaged": b"{", "huge": b" " * (2 << 20), "older copy": older}[how]
        store.write(HEAD, data, if_generation=None)
    manager.save(stepped(state), metrics={})
    assert [one.step for one in head_of(store).checkpoints] == [1, 2]
    assert head_of(store) == manager.head


def test_head_that_keeps_changing_is_an_outage() -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=1)
    copy = store.read(HEAD).data
    restless = Meanwhile(store, HEAD, lambda: store.write(HEAD, copy, if_generation=None))
    restless.times = 1000
    head = manager.head
    lease = Lease(
        restless,
        head,
        generation=store.read(HEAD).generation,
        around=Surroundings(),
    )
    with pytest.raises(StorageOutageError, match="changed 10 times"):
        lease.update(lambda head: head)
    assert lease.head == head


def test_facts_that_json_has_not_are_refused_before_head_is_touched() -> None:
    store = MemoryStore()
    manager = acquired(store)
    before = store.read(HEAD)
    with pytest.raises(TypeError, match=r"facts\.loss: float32"):
        manager.finish("completed", "", facts=dict(loss=np.float32(1)))  # type: ignore[arg-type]
    assert store.read(HEAD) == before


def test_head_counts_its_writes() -> None:
    store = MemoryStore()
    manager = saved_steps(store, steps=2)
    assert head_of(store).seq == 3
    manager.finish("completed", "")
    assert loads(store.read(HEAD).data, limit_bytes=1 << 20)["seq"] == 4
    assert store.read(HEAD).data == dumps(manager.head)


def test_writes_of_head_keep_their_distance() -> None:
    now, slept = [10.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    around = Surroundings(now=lambda: now[0], sleep=sleep, head_seconds=1.0)
    manager = acquired(MemoryStore(), around=around)
    manager.begin_training()
    now[0] += 0.25
    manager.finish("completed", "")
    now[0] += 5.0
    manager.finish("failed", "")
    assert slept == [1.0, 0.75]


@pytest.mark.parametrize("act", ["save", "finish", "write", "publish"])
@pytest.mark.parametrize("successor", [False, True])
def test_holder_of_a_removed_run_writes_nothing_that_a_successor_finds(
    act: str, successor: bool
) -> None:
    store = MemoryStore()
    old = saved_steps(store, steps=2)
    for one in store.list(""):
        store.delete(one.name, if_generation=None)
    if successor:  # has written config.json and not yet HEAD
        fresh = MemoryStore()
        acquired(fresh, lineage="f" * 32)
        store.write(CONFIG, fresh.read(CONFIG).data, if_generation=0)
    with pytest.raises(FencedError, match="the run was removed") as caught:
        {
            "save": lambda: old.save(stepped(stepped(stepped(initial()))), metrics={}),
            "finish": lambda: old.finish("completed", "done"),
            "write": lambda: old.files.write("summary.json", b"old"),
            "publish": lambda: old.files.publish(
                {"summary.json": b"old"}, directory="results/x"
            ),
        }[act]()
    assert caught.value.exit_code == 78
    assert store.stat(HEAD) is None
    assert store.stat("summary.json") is None


def test_owner_is_in_head() -> None:
    assert acquired(MemoryStore(), name="x").head.owner == Owner("", "", "", "here", 1, "x")


def test_head_whose_response_was_lost_is_not_written_twice() -> None:
    store = MemoryStore()
    manager = acquired(store)
    manager._lease._store = LostAnswerStore(store, lose_at=1)
    manager.finish("completed", "")
    first = store.stat(HEAD)
    assert first is not None
    assert (manager.head.status, head_of(store).status) == ("completed", "completed")
    manager.finish("failed", "")
    second = store.stat(HEAD)
    assert second is not None
    # The memory store numbers its writes.
    assert second.generation == first.generation + 1 == 4


def test_large_object_whose_response_was_lost_is_known_by_its_checksum() -> None:
    store = MemoryStore()
    data = bytes(2 << 20)  # is not read back, unlike a record
    for content, is_own in ((data, True), (data[:-1] + b"1", False)):
        lost = LostAnswerStore(store, lose_at=1) if is_own else store
        written = write_if_generation(lost, "shard", content, if_generation=0)
        assert (written == store.stat("shard")) == is_own


LAST_ACTS = {
    "finish": lambda manager: manager.finish("completed", "done"),
    "write_result": lambda manager: manager.files.write("summary.json", b"{}"),
}


@pytest.mark.parametrize("act", LAST_ACTS.values(), ids=LAST_ACTS)
def test_newer_version_that_took_the_run_over_is_not_damage(
    act: Callable[[CheckpointManager], None],
) -> None:
    store = MemoryStore()
    manager = acquired(store)
    theirs = json.dumps({**json.loads(store.read(HEAD).data), "schema": 3, "token": 2}).encode()
    store.write(HEAD, theirs, if_generation=None)
    with pytest.raises(FencedError, match="a newer version of the program took over"):
        act(manager)
    assert store.read(HEAD).data == theirs
    assert store.stat("summary.json") is None
