"""Whatever happens to a checkpoint, a restore gives a state that was committed, or refuses."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import google_crc32c
import numpy as np
import pytest

from job.checkpoints.layout import CONFIG, list_dirs
from job.checkpoints.restore import load_weights
from job.checkpoints.shards import plan_shards
from job.errors import CheckpointError
from tests.checkpoints.damaged_run import (
    DIRS,
    OBJECTS,
    RUN_OBJECTS,
    STOPPED_AT,
    copied,
    objects_of,
    restored_step,
    stopped_run,
)
from tests.checkpoints.tiny_run import (
    END,
    IDENTITY,
    RESUME,
    SPEC,
    STATE,
    Attempt,
    fingerprint,
    head_of,
)


def test_sound_copy_of_a_run_directory_resumes_at_its_end() -> None:
    assert restored_step(copied({})) == STOPPED_AT


@pytest.mark.parametrize("name", OBJECTS[7])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"\0",
        lambda data: bytes(len(data)),
        lambda data: None,
    ],
    ids=["empty", "cut by one", "cut in half", "longer", "zeros", "missing"],
)
def test_damaged_newest_checkpoint_is_listed_as_rejected_and_the_one_before_is_used(
    name: str, damage: Callable[[bytes], bytes | None], caplog: pytest.LogCaptureFixture
) -> None:
    full = f"{DIRS[7]}/{name}"
    store = copied({full: damage(RUN_OBJECTS[full])})
    assert restored_step(store) == 6
    head = head_of(store)
    assert [one.dir for one in head.rejected] == [DIRS[7]]
    assert head.rejected[0].reason
    assert head.last == DIRS[6]
    assert head.best is not None
    assert head.best.step == 5
    warning = next(one for one in caplog.records if one.message == "checkpoint rejected")
    assert warning.levelno == logging.WARNING
    assert (warning.__dict__["dir"], warning.__dict__["reason"]) == (
        DIRS[7],
        head.rejected[0].reason,
    )
    assert fingerprint(Attempt(store, "third", keep_last=3).train()) == END


@pytest.mark.parametrize("name", OBJECTS[7])
def test_objects_of_another_step_are_not_taken(name: str) -> None:
    assert restored_step(copied({f"{DIRS[7]}/{name}": RUN_OBJECTS[f"{DIRS[6]}/{name}"]})) == 6


def test_whole_checkpoint_under_the_name_of_another_is_not_taken() -> None:
    swapped = {f"{DIRS[7]}/{one}": RUN_OBJECTS[f"{DIRS[6]}/{one}"] for one in OBJECTS[6]}
    assert restored_step(copied(swapped)) == 6


Damage = Callable[[bytes, np.random.Generator], bytes]


def flipped(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[random.integers(len(data))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def truncated(data: bytes, random: np.random.Generator) -> bytes:
    return data[: int(random.integers(len(data)))]


def damages(number: int, damage: Damage, names: Sequence[str]) -> Iterator[dict[str, bytes]]:
    """Damages one object each; every object takes its turn."""
    random = np.random.default_rng(1)
    for index in range(number):
        name = names[index % len(names)]
        yield {name: damage(RUN_OBJECTS[name], random)}


@pytest.mark.parametrize(("number", "damage"), [(1000, flipped), (200, truncated)])
def test_damage_anywhere_ends_in_a_committed_state_or_a_refusal(
    number: int, damage: Damage
) -> None:
    seen = Counter[str]()
    for changes in damages(number, damage, sorted(RUN_OBJECTS)):
        (name,) = changes
        store = copied({**changes})
        try:
            step = restored_step(store)  # checks that the state is that of its step
        except CheckpointError:  # exit code 3
            assert name == CONFIG
        else:
            assert name != CONFIG
            assert step == (6 if name.startswith(DIRS[7]) else STOPPED_AT)
        seen[name] += 1
    assert seen.keys() == RUN_OBJECTS.keys()


@pytest.mark.parametrize("lost", OBJECTS[5])
def test_damaged_best_checkpoint_is_refused_by_name_and_not_by_a_resume(lost: str) -> None:
    name = f"{DIRS[5]}/{lost}"
    store = copied({name: flipped(RUN_OBJECTS[name], np.random.default_rng(1))})
    assert restored_step(store) == STOPPED_AT
    best = head_of(store).best
    assert best is not None
    if lost == RESUME:  # the weights are complete without it
        load_weights(store, best, identity=IDENTITY, expected=SPEC)
        return
    with pytest.raises(CheckpointError, match="Use another checkpoint, or restore") as caught:
        load_weights(store, best, identity=IDENTITY, expected=SPEC)
    assert f"{DIRS[5]}: {lost}" in str(caught.value)


def test_many_objects_are_verified_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan_shards.__kwdefaults__, "shard_bytes", 16)
    objects = objects_of(stopped_run())
    newest = list_dirs(copied({}, objects=objects)).committed[-1].path
    names = [name for name in objects if name.startswith(newest)]
    assert len(names) == 4
    random = np.random.default_rng(1)
    for name in names:
        other = objects[names[0] if name != names[0] else names[1]]
        for data in (None, other, *(flipped(objects[name], random) for _ in range(20))):
            assert restored_step(copied({name: data}, objects=objects)) == 6


@pytest.mark.parametrize("checksum", ["crc32c", "sha256"])
def test_each_checksum_alone_refuses_a_change(
    checksum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{DIRS[7]}/{STATE}"
    data = bytearray(RUN_OBJECTS[name])
    data[len(data) // 2] ^= 1
    if checksum == "sha256":  # the other one is made to agree
        committed = google_crc32c.value(RUN_OBJECTS[name])
        monkeypatch.setattr(
            google_crc32c,
            "value",
            lambda given: committed if given == bytes(data) else google_crc32c.extend(0, given),
        )
    store = copied({name: bytes(data)})
    assert restored_step(store) == 6
    assert checksum in head_of(store).rejected[0].reason


@pytest.mark.parametrize("name", OBJECTS[7])
def test_rejected_checkpoint_is_left_for_inspection(name: str) -> None:
    store = copied({f"{DIRS[7]}/{name}": None})
    for _ in range(2):
        assert restored_step(store) == 6
    left = {one.name for one in store.list(f"{DIRS[7]}/")}
    assert left == {f"{DIRS[7]}/{one}" for one in OBJECTS[7] if one != name}
