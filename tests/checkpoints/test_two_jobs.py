"""Jobs and releases that train one run: who has it, who keeps it, who gives up."""

import logging
from typing import Any

import pytest

from job.checkpoints.policy import MAX_FRUITLESS
from job.errors import FencedError, NoProgressError, PermissionDeniedError
from tests.checkpoints.tiny_run import Attempt, acquired, head_of, initial, stepped
from tests.fakes.memory_store import MemoryStore


def start(store: MemoryStore, *, job: str, name: str, **options: Any) -> Attempt:
    attempt = Attempt(store, name=name, job=job, **options)
    attempt.acquire()
    return attempt


def test_pods_of_one_job_take_over_from_each_other() -> None:
    store = MemoryStore()
    for number in range(3):
        attempt = start(store, job="one", name=f"pod-{number}")
    assert attempt.manager is not None
    assert attempt.manager.head.superseded == ()


def test_newest_job_takes_the_run_and_the_pods_of_the_older_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    old = start(store, job="one", name="a")
    with caplog.at_level(logging.WARNING):
        new = start(store, job="two", name="b")
    assert [record.message for record in caplog.records] == ["run taken over from another job"]
    assert caplog.records[0].job == "one"
    assert old.manager is not None
    with pytest.raises(FencedError):
        old.manager.save(initial(), metrics={})
    with pytest.raises(PermissionDeniedError, match=r"another Job \(two on .*from this one"):
        start(store, job="one", name="c")
    assert new.manager is not None
    new.manager.save(initial(), metrics={})


def test_job_that_lost_is_remembered_over_restarts_of_the_other() -> None:
    store = MemoryStore()
    for job, name in (("one", "a"), ("two", "b"), ("two", "c"), ("three", "d"), ("three", "e")):
        start(store, job=job, name=name)
    for job in ("one", "two"):
        with pytest.raises(PermissionDeniedError):
            start(store, job=job, name="f")


def test_job_installed_anew_has_another_uid_and_takes_the_run_back() -> None:
    store = MemoryStore()
    start(store, job="one", name="a")
    start(store, job="two", name="b")
    start(store, job="one-again", name="c")


def test_person_outside_a_cluster_takes_over_as_well() -> None:
    store = MemoryStore()
    start(store, job="one", name="a")
    start(store, job="", name="b")
    with pytest.raises(PermissionDeniedError, match="none: a process"):
        start(store, job="one", name="c")
    start(store, job="", name="d")


@pytest.mark.parametrize(
    ("theirs", "ours", "status", "takeover", "allowed"),
    [
        ("one", "one", "running", False, True),  # an upgrade
        ("one", "two", "running", False, False),
        ("one", "two", "preempted", False, False),
        ("one", "two", "failed", False, False),
        ("one", "two", "completed", False, True),
        ("one", "two", "running", True, True),
        ("one", "", "running", False, False),
        ("one", "", "running", True, True),
        ("", "two", "running", False, True),  # a laptop's run goes on in a cluster
    ],
)
def test_unfinished_run_belongs_to_its_release(
    theirs: str, ours: str, status: Any, takeover: bool, allowed: bool
) -> None:
    store = MemoryStore()
    first = acquired(store, release=theirs, job="first")
    if status != "running":
        first.finish(status, "")
    options = {"job": "second", "release": ours, "takeover": takeover}
    if allowed:
        assert start(store, name="b", **options).manager is not None
        return
    before = store.list("")
    with pytest.raises(PermissionDeniedError, match=r"set run\.takeover: true") as caught:
        start(store, name="b", **options)
    assert caught.value.exit_code == 6
    assert "belongs to release 'ns/one'" in str(caught.value)
    assert store.list("") == before


def test_release_that_lost_its_run_may_not_take_it_back_without_a_takeover() -> None:
    store = MemoryStore()
    start(store, job="one", name="a", release="one")
    start(store, job="two", name="b", release="two", takeover=True)
    with pytest.raises(PermissionDeniedError, match="another Job"):
        start(store, job="one", name="c", release="one", takeover=True)
    with pytest.raises(PermissionDeniedError, match="belongs to release 'ns/two'"):
        start(store, job="three", name="d", release="one")


def die(store: MemoryStore, how: str, *, job: str = "one", name: str = "x") -> None:
    """One attempt that begins to train unless `how` is "early", and ends as told."""
    manager = acquired(store, job=job, name=name)
    if how == "early":
        return
    manager.begin_training()
    if how == "saves":
        last = manager.head.checkpoints
        state = initial()
        for _ in range(last[-1].step + 1 if last else 1):
            state = stepped(state)
        manager.save(state, metrics={})
    elif how != "killed":
        manager.finish(how, f"it {how}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ends", "count"),
    [
        ("killed", 1),
        ("failed", 1),
        ("preempted", 0),
        ("early", 0),
        ("saves", 0),
        ("killed killed failed", 3),
        ("killed early preempted killed", 2),
        ("killed killed saves", 0),
        ("saves killed saves killed", 1),
    ],
)
def test_attempts_that_trained_and_committed_nothing_are_counted(ends: str, count: int) -> None:
    store = MemoryStore()
    for number, how in enumerate(ends.split()):
        die(store, how, name=f"{number}")
    assert acquired(store, job="one", name="last").head.fruitless == count


@pytest.mark.parametrize("before", ["", "saves "])
def test_job_that_makes_no_progress_ends_with_5_and_a_new_job_may_try(before: str) -> None:
    store = MemoryStore()
    ends = f"{before}{'killed ' * (MAX_FRUITLESS - 1)}early failed".split()
    for number, how in enumerate(ends):
        die(store, how, name=f"{number}")
    left = store.list("")
    for _ in range(2):  # the refusal does not wear off
        with pytest.raises(NoProgressError, match=r"5 attempts in a row .*it failed") as caught:
            acquired(store, job="one", name="again")
        assert caught.value.exit_code == 5
        assert store.list("") == left
    assert acquired(store, job="two", name="b").head.fruitless == 0


def test_commit_that_was_adopted_is_progress() -> None:
    store = MemoryStore()
    for number in range(MAX_FRUITLESS - 1):
        die(store, "killed", name=f"{number}")
    manager = acquired(store, job="one", name="unlucky")
    manager.begin_training()
    head = store.read("HEAD.json").data
    manager.save(stepped(initial()), metrics={})
    store.write("HEAD.json", head, if_generation=None)  # died between COMMIT and HEAD
    assert acquired(store, job="one", name="b").head.fruitless == 0
    assert [one.step for one in head_of(store).checkpoints] == [1]


def test_person_outside_a_cluster_may_try_as_often_as_they_like() -> None:
    store = MemoryStore()
    for number in range(2 * MAX_FRUITLESS):
        die(store, "killed", job="", name=f"{number}")
    assert head_of(store).fruitless == 0
