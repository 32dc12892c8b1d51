"""A bucket that stays away, refuses or does not exist: how long it is waited for."""

import logging
from collections.abc import Callable

import pytest

from job.errors import ConfigError, PermissionDeniedError, StorageOutageError
from job.storage.gcs.store import GsStore
from tests.fakes.gcs.faults import Operation
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.storage.conftest import FakeTime
from tests.storage.gcs.bucket_actions import (
    ACTIONS,
    AWAY,
    BACK,
    REFUSES,
    SENT,
    SMALL,
    lines,
    small_parts,
)

__all__ = ["small_parts"]  # a fixture, used by its name
pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.mark.parametrize("name", ACTIONS)
def test_outage_without_end_is_said_once_and_ends_the_call_after_the_budget(
    gcs: FakeGcs,
    bucket_store: GsStore,
    time: FakeTime,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    before = 0
    if ACTIONS[name].exists:
        before = bucket_store.write("a", SMALL, if_generation=0).generation
    for operation in SENT[name]:
        gcs.faults.add(Fault(operation, "status", times=None))
    with pytest.raises(
        StorageOutageError, match=r"gs://runs/typos could not .* 600 s"
    ) as caught:
        ACTIONS[name].call(bucket_store, before)
    assert caught.value.exit_code == 69
    assert "503 Service Unavailable" in str(caught.value)
    assert sum(time.pauses) == pytest.approx(600.0)
    # Doubling up to 32 s: 1 + 2 + ... + 32 = 63 s, then 16 whole ones and what is left.
    assert time.pauses[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0]
    with pytest.raises(StorageOutageError):
        ACTIONS[name].call(bucket_store, before)
    assert lines(caplog) == [AWAY]
    gcs.faults.clear()
    ACTIONS[name].call(bucket_store, before)
    assert lines(caplog) == [AWAY, BACK]
    first, last = (one for one in caplog.records if one.name.startswith("job.storage"))
    assert (first.levelno, last.levelno) == (logging.WARNING, logging.WARNING)
    assert first.error == "503 Service Unavailable"
    assert first.budget_seconds == 600.0
    assert last.seconds == pytest.approx(1200.0)
    assert last.tries == len(time.pauses)


NEEDED = {
    "create": "storage.objects.create",
    "create large": "storage.objects.create",
    "replace": "storage.objects.delete",
    "overwrite": "storage.objects.get",
    "read": "storage.objects.get",
    "stat": "storage.objects.get",
    "list": "storage.objects.list",
    "delete": "storage.objects.delete",
    "remove": "storage.objects.delete",
}


@pytest.mark.parametrize(("name", "permission"), NEEDED.items())
def test_denied_operation_names_the_bucket_and_the_permission_at_once(
    gcs: FakeGcs,
    open_bucket: Callable[..., GsStore],
    time: FakeTime,
    caplog: pytest.LogCaptureFixture,
    name: str,
    permission: str,
) -> None:
    before = 0
    if ACTIONS[name].exists:
        before = open_bucket().write("a", SMALL, if_generation=0).generation
    gcs.bucket.denied = {permission}
    with pytest.raises(PermissionDeniedError) as caught:
        ACTIONS[name].call(open_bucket(), before)
    assert caught.value.exit_code == 6
    assert "gs://runs/typos: not allowed to" in str(caught.value)
    assert f"needs {permission} on the bucket" in str(caught.value)
    assert time.pauses == []
    assert lines(caplog) == []


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("operation", ["insert", "get", "list", "delete"])
def test_refusal_without_a_reason_still_says_what_is_needed(
    gcs: FakeGcs, bucket_store: GsStore, status: int, operation: Operation
) -> None:
    name = {"insert": "create", "get": "stat", "list": "list", "delete": "delete"}[operation]
    gcs.faults.add(Fault(operation, "status", status=status, times=None))
    with pytest.raises(PermissionDeniedError, match=r"gs://runs/typos: "):
        ACTIONS[name].call(bucket_store, 7)


def test_permission_that_was_there_before_is_waited_for_a_minute(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime
) -> None:
    bucket_store.write("a", SMALL, if_generation=0)
    bucket_store.read("a")
    gcs.faults.add(Fault("media", "status", status=403, times=3))
    assert bucket_store.read("a").data == SMALL
    gcs.bucket.denied = {"storage.objects.get"}
    time.pauses.clear()
    with pytest.raises(PermissionDeniedError):
        bucket_store.read("a")
    assert sum(time.pauses) == pytest.approx(60.0)
    with pytest.raises(PermissionDeniedError):
        bucket_store.read("a")
    assert sum(time.pauses) == pytest.approx(60.0)


def test_refusal_after_an_outage_is_waited_for_from_its_own_beginning(
    gcs: FakeGcs,
    bucket_store: GsStore,
    time: FakeTime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bucket_store.write("a", SMALL, if_generation=0)
    bucket_store.read("a")
    # 1 + 2 + 4 + 8 + 16 + 32 + 32 s: longer than a refusal is waited for.
    gcs.faults.add(Fault("media", "status", times=7), Fault("media", "status", status=403))
    assert bucket_store.read("a").data == SMALL
    assert sum(time.pauses) == pytest.approx(95.0 + 32.0)
    assert lines(caplog) == [AWAY, REFUSES, BACK]


def test_refusals_between_which_the_bucket_was_away_are_not_added_up(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    bucket_store.write("a", SMALL, if_generation=0)
    bucket_store.read("a")
    for _ in range(5):
        gcs.faults.add(Fault("media", "status", status=403), Fault("media", "status"))
    gcs.faults.add(Fault("media", "status", status=403, times=None))
    with pytest.raises(PermissionDeniedError):
        bucket_store.read("a")
    # Ten failures: 1 + 2 + 4 + 8 + 16 + 5 * 32 s; then a minute of nothing but refusals.
    assert sum(time.pauses) == pytest.approx(191.0 + 60.0)
    assert lines(caplog) == [REFUSES, AWAY]


def test_refusal_is_said_once_as_what_it_is(
    gcs: FakeGcs, bucket_store: GsStore, caplog: pytest.LogCaptureFixture
) -> None:
    bucket_store.write("a", SMALL, if_generation=0)
    bucket_store.read("a")
    gcs.faults.add(Fault("media", "status", status=403, times=3))
    bucket_store.read("a")
    assert lines(caplog) == [REFUSES, BACK]
    first = next(one for one in caplog.records if one.message == REFUSES)
    assert first.levelno == logging.WARNING
    assert (first.operation, first.error, first.budget_seconds) == (
        "read",
        "403 Forbidden",
        60.0,
    )


def test_write_that_somebody_else_always_overtakes_ends(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime
) -> None:
    bucket_store.write("a", b"theirs", if_generation=0)
    gcs.faults.add(Fault("insert", "status", status=412, times=None))
    with pytest.raises(
        StorageOutageError, match=r"gs://runs/typos/a changed 5 times"
    ) as caught:
        bucket_store.write("a", SMALL, if_generation=None)
    assert "start again" in str(caught.value)
    assert gcs.bucket.objects["typos/a"].data == b"theirs"
    assert time.pauses == []


class Stopped(Exception):  # noqa: N818 - stands for what a stop of the process raises
    """What a sleep may raise to end the waiting."""


@pytest.mark.parametrize("name", ACTIONS)
def test_what_the_sleep_raises_ends_the_waiting_untouched(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], time: FakeTime, name: str
) -> None:
    before = 0
    if ACTIONS[name].exists:
        before = open_bucket().write("a", SMALL, if_generation=0).generation
    stop = Stopped()

    def sleep(_: float) -> None:
        raise stop

    time.sleep = sleep  # type: ignore[method-assign]
    gcs.faults.add(Fault(SENT[name][-1], "reset_before", times=None))
    with pytest.raises(Stopped) as caught:
        ACTIONS[name].call(open_bucket(), before)
    assert caught.value is stop


@pytest.mark.parametrize("name", ACTIONS)
def test_missing_bucket_is_a_matter_of_configuration(
    open_bucket: Callable[..., GsStore], name: str
) -> None:
    store = open_bucket("gs://no-such-bucket/typos")
    with pytest.raises(ConfigError, match="there is no bucket 'no-such-bucket'"):
        ACTIONS[name].call(store, 7)


def test_request_the_bucket_calls_wrong_is_not_repeated(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime
) -> None:
    gcs.faults.add(Fault("insert", "status", status=400))
    with pytest.raises(ConfigError, match=r"refused to create: 400 Bad Request"):
        bucket_store.write("a", SMALL, if_generation=0)
    assert time.pauses == []


def test_request_that_worked_before_and_is_called_wrong_is_an_outage_after_a_minute(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    written = bucket_store.write("a", SMALL, if_generation=0)
    written = bucket_store.write("a", SMALL, if_generation=written.generation)
    gcs.faults.add(Fault("insert", "status", status=400, times=3))
    written = bucket_store.write("a", SMALL, if_generation=written.generation)
    assert lines(caplog) == [REFUSES, BACK]
    time.pauses.clear()
    gcs.faults.add(Fault("insert", "status", status=400, times=None))
    with pytest.raises(StorageOutageError, match=r"could not replace: .* 60 s .*400 Bad"):
        bucket_store.write("a", SMALL, if_generation=written.generation)
    assert sum(time.pauses) == pytest.approx(60.0)


def test_refusals_at_the_start_are_waited_out_together_where_nobody_can_start_again(
    gcs: FakeGcs,
    open_bucket: Callable[..., GsStore],
    time: FakeTime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = open_bucket(patience={"denied_at_start_seconds": 120.0})
    gcs.faults.add(Fault("list", "status", status=403, times=3))
    assert store.list("") == []
    assert lines(caplog) == [REFUSES, BACK]
    gcs.bucket.denied = {"storage.objects.create"}
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            store.write("a", SMALL, if_generation=0)
        assert sum(time.pauses) == pytest.approx(120.0)


def test_delete_that_worked_before_is_tried_for_half_a_minute(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime
) -> None:
    for name in "ab":
        bucket_store.write(name, SMALL, if_generation=0)
    bucket_store.delete("b", if_generation=None)
    gcs.faults.add(Fault("delete", "status", times=None))
    with pytest.raises(StorageOutageError, match=r"could not delete: .* At most 30 s are"):
        bucket_store.delete("a", if_generation=None)
    assert sum(time.pauses) == pytest.approx(30.0)
