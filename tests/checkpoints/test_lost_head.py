"""Whatever happens to HEAD.json, a run that has commits never starts afresh in silence."""

import dataclasses
import hashlib
from typing import Any

import pytest

from job.checkpoints import restore
from job.checkpoints.canonical_json import loads
from job.checkpoints.layout import COMMIT, CONFIG, HEAD
from job.checkpoints.records import CommitRecord, Head, dumps, parse, sealed
from job.checkpoints.restore import read_head
from job.errors import CheckpointError, ConfigError
from job.storage.object_store import StoredObject
from tests.checkpoints.damaged_run import (
    DIRS,
    KEPT,
    OBJECTS,
    RUN_OBJECTS,
    STOPPED_AT,
    copied,
    restored_step,
    stopped_run,
)
from tests.checkpoints.tiny_run import (
    END,
    IDENTITY,
    SPEC,
    STATE,
    Attempt,
    check_invariants,
    fingerprint,
    head_of,
)
from tests.fakes.memory_store import MemoryStore

HEAD_DAMAGE = {
    "missing": None,
    "empty": b"",
    "cut": RUN_OBJECTS[HEAD][:50],
    "not JSON": b"\x00" * 300,
    "a list": b"[]",
    "huge": b" " * (2 << 20),
    "wrong types": RUN_OBJECTS[HEAD].replace(b'"token":1', b'"token":"1"'),
    "points nowhere": RUN_OBJECTS[HEAD].replace(b'"last":"ckpt/', b'"last":"ckpt/9'),
}


@pytest.mark.parametrize("how", HEAD_DAMAGE)
def test_lost_head_is_rebuilt_from_the_commits_and_never_a_fresh_start(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = copied({HEAD: HEAD_DAMAGE[how]})
    assert read_head(store) is None
    assert restored_step(store) == STOPPED_AT
    head = head_of(store)
    assert [one.step for one in head.checkpoints] == KEPT
    assert head.best is not None
    assert (head.best.step, head.best.value) == (5, 0.25)
    assert head.token == 2
    assert "head rebuilt" in caplog.messages
    assert fingerprint(Attempt(store, "third").train()) == END


def test_reading_a_damaged_head_warns_and_writes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = copied({HEAD: b"{"})
    before = store.list("")
    assert read_head(store) is None
    assert "head unreadable" in caplog.messages
    assert store.list("") == before


@pytest.mark.parametrize("how", ["missing", "cut"])
def test_head_and_newest_checkpoint_lost_together_fall_back(how: str) -> None:
    store = copied({HEAD: HEAD_DAMAGE[how], f"{DIRS[7]}/{STATE}": None})
    assert restored_step(store) == 6


def lost_everywhere(name: str) -> dict[str, bytes | None]:
    """An object of every checkpoint; of the best one, which has other objects, the first."""
    return {
        f"{DIRS[step]}/{name if name in OBJECTS[step] else OBJECTS[step][0]}": b"lost"
        for step in DIRS
    }


@pytest.mark.parametrize("name", [STATE, COMMIT])
@pytest.mark.parametrize("head", [RUN_OBJECTS[HEAD], None], ids=["with HEAD", "without HEAD"])
def test_run_without_any_usable_checkpoint_is_refused_with_what_to_do(
    name: str, head: bytes | None
) -> None:
    store = copied({**lost_everywhere(name), HEAD: head})
    for _ in range(2):  # the refusal does not wear off
        with pytest.raises(CheckpointError) as caught:
            restored_step(store)
        assert caught.value.exit_code == 3
        for part in ("none can be used", DIRS[7], "run.name", "Restore the directory"):
            assert part in str(caught.value)


def test_refusal_keeps_the_list_for_a_repaired_directory() -> None:
    lost = lost_everywhere(STATE)
    store = copied(lost)
    with pytest.raises(CheckpointError):
        restored_step(store)
    for name in lost:
        store.write(name, RUN_OBJECTS[name], if_generation=None)
    assert restored_step(store) == STOPPED_AT


def test_damaged_head_of_a_run_that_never_saved_is_a_new_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    Attempt(store, "first").acquire()
    store.write(HEAD, b"{", if_generation=None)
    second = Attempt(store, "second")
    assert fingerprint(second.train()) == END
    assert second.restored is None
    assert "head unreadable" in caplog.messages


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (HEAD, b'"schema":2', b'"schema":3', "newer one"),
        (CONFIG, b'"schema":2', b'"schema":9', "newer one"),
        (CONFIG, b'"schema"', b'"shcema"', "Restore it from a copy"),
    ],
)
def test_record_that_cannot_be_understood_is_refused_and_left_alone(
    name: str, old: bytes, new: bytes, says: str
) -> None:
    store = copied({name: RUN_OBJECTS[name].replace(old, new)})
    before = store.list("")
    with pytest.raises(CheckpointError, match=says) as caught:
        restored_step(store)
    assert name in str(caught.value)
    assert store.list("") == before


def test_directory_of_another_run_is_refused_and_left_alone() -> None:
    head = parse(Head, RUN_OBJECTS[HEAD])
    store = copied({HEAD: dumps(dataclasses.replace(head, run="other"))})
    before = store.list("")
    with pytest.raises(ConfigError, match="contains run 'other'"):
        restored_step(store)
    assert store.list("") == before


def test_record_cannot_point_out_of_its_directory() -> None:
    name = f"{DIRS[7]}/{COMMIT}"
    tree = loads(RUN_OBJECTS[name], limit_bytes=1 << 20)
    del tree["sha256"]
    tree["objects"][0]["name"] = "../../secret"
    store = copied({name: sealed(tree), HEAD: None, "secret": b"x"})

    def guarded(wanted: str, *, limit_bytes: int | None = None) -> StoredObject:
        assert wanted != "secret"
        return MemoryStore.read(store, wanted, limit_bytes=limit_bytes)

    store.read = guarded  # type: ignore[method-assign]
    assert restored_step(store) == 6


def test_object_longer_than_the_model_can_need_is_not_read() -> None:
    name = f"{DIRS[7]}/{COMMIT}"
    commit = parse(CommitRecord, RUN_OBJECTS[name])
    big = [dataclasses.replace(one, size=10**12) for one in commit.objects]
    store = copied({name: dumps(dataclasses.replace(commit, objects=tuple(big)))})
    entry = dataclasses.replace(
        head_of(store).checkpoints[-1],
        commit_sha256=hashlib.sha256(store.read(name).data).hexdigest(),
    )
    with pytest.raises(restore.DamagedError, match="has 1000000000000 bytes, the limit"):
        restore.load_entry(store, entry, identity=IDENTITY, expected=SPEC)


def recommitted(step: int, /, **changes: Any) -> dict[str, bytes | None]:
    """A commit record that is well made and does not tell the truth; HEAD is lost."""
    name = f"{DIRS[step]}/{COMMIT}"
    commit = parse(CommitRecord, RUN_OBJECTS[name])
    return {name: dumps(dataclasses.replace(commit, **changes)), HEAD: None}


@pytest.mark.parametrize("which", [[], [0, 0]])
def test_commit_of_other_objects_than_a_checkpoint_has_is_skipped(which: list[int]) -> None:
    objects = parse(CommitRecord, RUN_OBJECTS[f"{DIRS[7]}/{COMMIT}"]).objects
    changed = recommitted(7, objects=tuple(objects[index] for index in which))
    assert restored_step(copied(changed)) == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 0},
        {"step_in_epoch": 1},
        {"step": 8},
        {"nonce": "0" * 8},
        {"fingerprint": "other data"},
        {"run": "other"},
    ],
)
def test_commit_that_contradicts_what_it_is_for_is_skipped(changes: dict[str, Any]) -> None:
    assert restored_step(copied(recommitted(7, **changes))) == 6


def test_run_whose_commits_are_all_for_other_data_is_refused() -> None:
    changes: dict[str, bytes | None] = {}
    for step in DIRS:
        changes |= recommitted(step, fingerprint="other data")
    with pytest.raises(CheckpointError, match="was written for data other data, not data"):
        restored_step(copied(changes))


@pytest.mark.parametrize("which", [[1, 0], [0], [1], [0, 0], [0, 1, 1]])
def test_commit_of_a_best_checkpoint_lists_weights_first_and_the_rest_after(
    which: list[int],
) -> None:
    objects = parse(CommitRecord, RUN_OBJECTS[f"{DIRS[5]}/{COMMIT}"]).objects
    changed = recommitted(5, objects=tuple(objects[index] for index in which))
    only = {f"{DIRS[step]}/{name}": None for step in (6, 7) for name in OBJECTS[step]}
    with pytest.raises(CheckpointError, match="does not fit the model"):
        restored_step(copied({**only, **changed}))


def test_later_attempts_line_wins_where_head_is_rebuilt() -> None:
    # The first attempt's step 7 was never in HEAD: the second began at 5 and committed 6.
    store = stopped_run()
    head = head_of(store)
    check_invariants(store)
    rewound = dataclasses.replace(
        head, checkpoints=head.checkpoints[:1], last=head.checkpoints[0].dir, token=2
    )
    store.write(HEAD, dumps(rewound), if_generation=None)
    second = Attempt(store, "second", keep_last=3, stop_at=6)
    second.train()
    assert second.restored is not None
    assert second.restored.state.position.global_step == 5
    store.delete(HEAD, if_generation=None)
    assert restored_step(store) == 6  # which was saved twice: as a multiple, and at the stop
    assert [int(one.dir.split("-")[1]) for one in head_of(store).checkpoints] == [1, 3, 3]
