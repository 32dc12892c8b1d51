"""Whatever happens to a checkpoint, a restore gives a state that was committed, or refuses."""

import logging
from collections.abc import Callable, Iterator

import google_crc32c
import numpy as np
import pytest

from job.checkpoints import restore
from job.checkpoints.layout import COMMIT, META, STATE
from job.checkpoints.records import CommitRecord
from job.storage.object_store import ObjectStore
from tests.checkpoints.damaged_run import DIRS, RUN_OBJECTS, STOPPED_AT, copied, restored_step
from tests.checkpoints.tiny_run import END, Attempt, fingerprint, head_of


def test_sound_copy_of_a_run_directory_resumes_at_its_end() -> None:
    assert restored_step(copied({})) == STOPPED_AT


@pytest.mark.parametrize("name", [STATE, META, COMMIT])
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


@pytest.mark.parametrize("name", [STATE, META, COMMIT])
def test_objects_of_another_step_are_not_taken(name: str) -> None:
    assert restored_step(copied({f"{DIRS[7]}/{name}": RUN_OBJECTS[f"{DIRS[6]}/{name}"]})) == 6


def test_whole_checkpoint_under_the_name_of_another_is_not_taken() -> None:
    swapped = {
        f"{DIRS[7]}/{name}": RUN_OBJECTS[f"{DIRS[5]}/{name}"] for name in (STATE, META, COMMIT)
    }
    assert restored_step(copied(swapped)) == 6


def flips(number: int, names: list[str]) -> Iterator[tuple[str, int, int]]:
    random = np.random.default_rng(1)
    sizes = [len(RUN_OBJECTS[name]) for name in names]
    for _ in range(number):
        which = int(random.choice(len(names), p=np.array(sizes) / sum(sizes)))
        yield names[which], int(random.integers(sizes[which])), int(random.integers(8))


def accepted_flips(number: int) -> int:
    """How many single-bit flips in the newest checkpoint it survives as the newest."""
    accepted = 0
    for name, place, bit in flips(
        number, [f"{DIRS[7]}/{one}" for one in (STATE, META, COMMIT)]
    ):
        flipped = bytearray(RUN_OBJECTS[name])
        flipped[place] ^= 1 << bit
        accepted += restored_step(copied({name: bytes(flipped)})) == STOPPED_AT
    return accepted


def test_no_bit_flip_of_a_thousand_is_accepted() -> None:
    assert accepted_flips(1000) == 0


def test_bit_flips_are_accepted_without_the_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(
        store: ObjectStore, dir: str, commit: CommitRecord, *, state_limit: int | None
    ) -> dict[str, bytes]:
        return {one.name: store.read(f"{dir}/{one.name}").data for one in commit.objects}

    monkeypatch.setattr(restore, "read_objects", trusting)
    with pytest.raises(AssertionError):
        assert accepted_flips(300) == 0


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


@pytest.mark.parametrize("name", [STATE, META, COMMIT])
def test_rejected_checkpoint_is_left_for_inspection(name: str) -> None:
    store = copied({f"{DIRS[7]}/{name}": None})
    for _ in range(2):
        assert restored_step(store) == 6
    left = {one.name for one in store.list(f"{DIRS[7]}/")}
    assert left == {f"{DIRS[7]}/{one}" for one in (STATE, META, COMMIT) if one != name}
