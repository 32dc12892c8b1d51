"""Two Kubernetes Jobs that train one run: the newest has it, and keeps it."""

import logging

import pytest

from job.errors import FencedError, PermissionDeniedError
from tests.checkpoints.tiny_run import Attempt, initial
from tests.fakes.memory_store import MemoryStore


def start(store: MemoryStore, *, job: str, name: str) -> Attempt:
    attempt = Attempt(store, name=name, job=job)
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
