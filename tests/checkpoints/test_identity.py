"""A run directory is one run: nothing of another run, of the same name, ever gets into it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.checkpoints.layout import COMMIT, CONFIG, HEAD, list_dirs
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.records import Best
from job.checkpoints.restore import read_commit, read_head, read_stored
from job.errors import (
    CheckpointError,
    ConfigError,
    FencedError,
    PermissionDeniedError,
)
from job.storage.object_store import ObjectMissingError, ObjectStat, ObjectStore
from tests.checkpoints.fault_stores import Meanwhile, Turns, Wrapped
from tests.checkpoints.tiny_run import (
    END,
    Attempt,
    acquired,
    fingerprint,
    head_of,
    initial,
    saved_steps,
    stepped,
)
from tests.fakes.memory_store import MemoryStore
from tests.proving import examples

SECOND = "f" * 32


def remove(store: ObjectStore, *, but: str = "none") -> None:
    for one in store.list(""):
        if not one.name.startswith(but):
            store.delete(one.name, if_generation=None)


def third_save(manager: CheckpointManager) -> None:
    state = stepped(stepped(stepped(initial())))
    manager.save(state, metrics={}, best=Best(3, 1, "val_loss", 0.1))


def test_last_save_of_a_removed_run_does_not_begin_its_successor() -> None:
    # The person deletes the directory while the old pod still has a save to make.
    store = MemoryStore()
    old = saved_steps(store, steps=2)
    remove(store)
    with pytest.raises(FencedError, match="the run was removed"):
        third_save(old)
    fresh = Attempt(store, "fresh", lineage=SECOND, data="other data")
    assert fingerprint(fresh.train()) == END
    assert fresh.restored is None


def test_commit_of_a_removed_run_is_not_adopted_by_its_successor() -> None:
    # The old pod's save ends after the successor has begun: both are attempt 1.
    store = MemoryStore()
    old = saved_steps(store, steps=2)
    remove(store)
    acquired(store, name="fresh", lineage=SECOND, data="other data")
    with pytest.raises(FencedError, match=r"attempt 1 on host 'here' .*took over"):
        third_save(old)
    assert [one.token for one in list_dirs(store).committed] == [1]
    again = Attempt(store, "again", lineage="not used", data="other data")
    assert fingerprint(again.train()) == END
    assert again.restored is None


def test_commit_of_a_fenced_process_with_the_same_number_is_not_adopted() -> None:
    # HEAD is lost before the first commit, so the next attempt has the same number.
    store = MemoryStore()
    zombie = acquired(store)
    store.delete(HEAD, if_generation=None)
    assert acquired(store, name="b").attempt == zombie.attempt == 1
    with pytest.raises(FencedError):
        third_save(zombie)
    assert acquired(store, name="c").head.checkpoints == ()


def test_second_configuration_that_appears_during_the_start_is_compared() -> None:
    store = MemoryStore()
    quick = {"training": {"learning_rate": 0.1}}

    def other() -> None:
        saved_steps(store, steps=1, name="quick", config=quick)

    with pytest.raises(ConfigError, match="another configuration"):
        acquired(Meanwhile(store, CONFIG, other), name="slow")
    assert head_of(store).owner.nonce == "quick"
    stored = read_stored(store)
    assert stored is not None
    assert stored.config == quick


@pytest.mark.parametrize("when", ["before", "between"])
def test_results_of_a_fenced_attempt_never_replace_those_of_the_newer_one(when: str) -> None:
    store = MemoryStore()
    files = {"summary.json": b"old", "history.json": b"old"}
    newer = {name: b"new" for name in files}

    def take_over() -> None:
        acquired(store, name="b").files.publish(newer, directory="results/new")

    watched = Meanwhile(store, "summary.json", take_over)
    old = acquired(watched)
    if when == "before":
        take_over()
    with pytest.raises(FencedError):
        old.files.publish(files, directory="results/old")
    for name in files:
        assert store.read(name).data == b"new"
        assert store.read(f"results/old/{name}").data == b"old"  # which HEAD does not name
        assert store.read(f"results/new/{name}").data == b"new"


def test_published_results_are_named_in_head_and_survive_later_attempts() -> None:
    store = MemoryStore()
    manager = acquired(store)
    results = manager.files.publish({"summary.json": b"1"}, directory="results/1")
    assert results == {"summary.json": "results/1/summary.json"}
    manager.finish("completed", "", results=results)
    manager.finish("completed", "", results={"history.json": "results/2/history.json"})
    expected = {**results, "history.json": "results/2/history.json"}
    assert acquired(store, name="b").head.results == head_of(store).results == expected


def test_results_of_an_attempt_that_failed_to_publish_are_deleted_by_the_one_that_does() -> (
    None
):
    store = MemoryStore()
    failed = acquired(store)
    left = "results/000000000001-000001-0000000a"
    failed.files.publish({"export/manifest.json": b"1"}, directory=left)  # and dies
    manager = acquired(store, name="b")
    directory = "results/000000000001-000002-0000000b"
    results = manager.files.publish({"export/manifest.json": b"2"}, directory=directory)
    manager.finish("completed", "", results=results)
    manager.collect_garbage()
    assert [one.name for one in store.list("results/")] == [f"{directory}/export/manifest.json"]
    assert store.read("export/manifest.json").data == b"2"


def test_head_that_a_removed_run_left_is_replaced_not_continued() -> None:
    # `rm -r` takes config.json first; the successor begins before HEAD.json is gone.
    store = MemoryStore()
    saved_steps(store, steps=2)
    left = store.read(HEAD).data
    remove(store)
    acquired(Meanwhile(store, HEAD, lambda: store.write(HEAD, left, if_generation=0)),
             name="fresh", lineage=SECOND)  # fmt: skip
    head = head_of(store)
    assert (head.lineage, head.token, head.checkpoints) == (SECOND, 1, ())


def test_holder_writes_a_lost_head_again_while_its_configuration_is_there() -> None:
    store = MemoryStore()
    old = saved_steps(store, steps=2)
    for data in (None, b"{"):
        if data is not None:
            store.write(CONFIG, data, if_generation=None)  # damaged, so not removed
        store.delete(HEAD, if_generation=None)
        old.finish("preempted", "SIGTERM")
        assert head_of(store) == old.head


# Any order of what people, schedulers and disks do.

OPTIONS: list[dict[str, Any]] = [
    {},
    {},
    {"config": {"training": {"learning_rate": 0.1}}},
    {"data": "other data"},
    {"release": "b"},
    {"release": "b", "takeover": True},
]
CLEAN = (FencedError, ConfigError, PermissionDeniedError, CheckpointError)
ACTIONS = st.one_of(
    st.tuples(st.just("go"), st.integers(0, 2), st.integers(1, 25)),
    st.tuples(st.just("go"), st.integers(0, 2), st.integers(1, 25)),
    st.tuples(st.just("start"), st.integers(0, 2), st.integers(0, len(OPTIONS) - 1)),
    st.tuples(st.just("lose or restore head"), st.just(0), st.just(0)),
    st.tuples(st.just("remove"), st.just(0), st.integers(0, 2)),
)
Action = tuple[str, int, int]


class OneLineage(Wrapped):
    """One writer's view; checks after each write of HEAD that all it names is of one run."""

    lineage = ""  # in config.json when the writer looked there, after it looked at HEAD

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        written = super().write(name, data, if_generation=if_generation)
        if (name, if_generation) == (HEAD, 0):
            assert head_of(self.inner).lineage == self.lineage, "a removed run came back"
        if name == HEAD:
            check_one_lineage(self.inner)
        return written

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        try:
            return do()
        finally:
            if (call, name) == ("read", HEAD):
                self.lineage = ""
            elif name == CONFIG:
                stored = read_stored(self.inner)
                self.lineage = stored.lineage if stored else ""


def check_one_lineage(store: ObjectStore) -> None:
    stored, head = read_stored(store), read_head(store)
    if stored is None or head is None or head.lineage != stored.lineage:
        return  # a leftover, which the next attempt replaces or refuses
    dirs = [one.dir for one in head.checkpoints]
    for dir in dirs if head.best is None else [*dirs, head.best.dir]:
        try:
            data = store.read(f"{dir}/{COMMIT}").data
        except ObjectMissingError:
            continue  # removed
        assert f'"lineage":"{stored.lineage}"'.encode() in data, "two runs were mixed"
        assert f'"fingerprint":"{stored.fingerprint}"'.encode() in data, "data were mixed"


def start(store: ObjectStore, number: int, options: dict[str, Any]) -> Turns:
    return Turns(OneLineage(store), f"{number}", lineage=f"{number:032x}", **options)


def play(actions: list[Action]) -> None:
    store = MemoryStore()
    leftover = b""
    everybody = [start(store, 0, {})]
    current = everybody * 3
    is_whole = True
    try:
        for what, who, how in actions:
            if what == "go":
                for _ in range(how):
                    current[who].turn()
            elif what == "start":
                current[who] = start(store, len(everybody), OPTIONS[how])
                everybody.append(current[who])
            elif what == "remove":
                leftover = store.read(HEAD).data if store.stat(HEAD) else leftover
                remove(store, but=("none", CONFIG, HEAD)[how])
                is_whole = is_whole and how == 0
            elif store.stat(HEAD):
                store.delete(HEAD, if_generation=None)
            elif leftover and store.stat(CONFIG):
                store.write(HEAD, leftover, if_generation=0)
        for one in everybody:
            one.finish()
    finally:
        for one in everybody:
            one.kill()
    for one in everybody:
        check_outcome(one)
    check_end(store, is_whole=is_whole)


def check_outcome(one: Turns) -> None:
    if one.outcome != END and not isinstance(one.outcome, CLEAN):
        assert isinstance(one.outcome, BaseException), "trained to another end"
        raise one.outcome
    restored, manager = one.attempt.restored, one.attempt.manager
    if restored is not None and manager is not None:
        commit = restored.commit
        assert (commit.lineage, commit.fingerprint, commit.config_sha256) == (
            manager.identity.lineage,
            one.attempt.data,
            manager.provenance.config_sha256,
        )


def check_end(store: ObjectStore, *, is_whole: bool) -> None:
    stored = read_stored(store)
    same = {} if stored is None else {"config": stored.config, "data": stored.fingerprint}
    last = Attempt(store, "last", lineage="e" * 32, takeover=True, **same)
    try:
        assert fingerprint(last.train()) == END
    except CheckpointError:
        assert not is_whole or stored is None, "a run that nobody damaged was refused"
        return
    check_one_lineage(store)
    for entry in head_of(store).checkpoints:
        assert last.manager is not None
        read_commit(store, entry.dir, identity=last.manager.identity, sha256=None)


@settings(max_examples=examples(100))
@given(st.lists(ACTIONS, max_size=12))
def test_any_schedule_of_people_and_writers_leaves_one_run(actions: list[Action]) -> None:
    play(actions)
