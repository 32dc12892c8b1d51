"""Everything that may happen to a request to a bucket, and what has to come of it."""

from collections.abc import Callable
from typing import Any

import google_crc32c
import pytest

from job.errors import StorageOutageError
from job.storage.gcs.requests import Timeouts
from job.storage.gcs.store import GsStore
from job.storage.object_store import ObjectMissingError, PreconditionFailedError
from tests.fakes.gcs.faults import Kind, Operation
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.storage.conftest import FakeTime
from tests.storage.gcs.bucket_actions import (
    ACTIONS,
    AWAY,
    BACK,
    LARGE,
    OLD,
    SENT,
    SMALL,
    Action,
    lines,
    small_parts,
)

__all__ = ["small_parts"]  # a fixture, used by its name
pytestmark = pytest.mark.usefixtures("small_parts")

KINDS: tuple[tuple[Kind, int], ...] = (
    ("status", 408),
    ("status", 429),
    ("status", 500),
    ("status", 503),
    ("reset_before", 0),
    ("reset_after", 0),
    ("truncate", 0),
)
CASES = [
    (name, operation, kind, status, times)
    for name in ACTIONS
    for operation in SENT[name]
    for kind, status in KINDS
    for times in (1, 3)
    if status in (0, 503) or times == 3
    # The other answers have no body that could end early.
    if kind != "truncate" or operation in ("insert", "get", "media", "list")
]


def check_done(server: FakeGcs, action: Action, before: int) -> None:
    """The work was done exactly once, whatever was heard of it."""
    objects = server.bucket.objects
    if action.content is None:
        assert not objects
        return
    found = objects["typos/a"]
    assert found.data == action.content
    assert found.generation == before + action.writes


@pytest.mark.parametrize(("name", "operation", "kind", "status", "times"), CASES)
def test_passing_fault_changes_nothing_but_the_time(
    gcs: FakeGcs,
    bucket_store: GsStore,
    caplog: pytest.LogCaptureFixture,
    name: str,
    operation: Operation,
    kind: Kind,
    status: int,
    times: int,
) -> None:
    action = ACTIONS[name]
    before = gcs.bucket._generation
    if action.exists:
        before = bucket_store.write("a", OLD, if_generation=0).generation
    expected = {"read": OLD, "read limited": OLD, "stat": len(OLD), "list": ["a"]}
    gcs.faults.add(Fault(operation, kind, times=times, status=status))
    result = action.call(bucket_store, before)
    check_done(gcs, action, before)
    if name in expected:
        assert result == expected[name]
    elif action.writes:
        assert result.crc32c == google_crc32c.value(action.content)
        assert result.generation == before + 1
    assert lines(caplog) == [AWAY, BACK]  # however many tries it took


@pytest.mark.parametrize("limit_bytes", [None, len(LARGE)])
@pytest.mark.parametrize("kind", ["flip", "truncate"])
def test_damaged_download_is_asked_for_again(
    gcs: FakeGcs, bucket_store: GsStore, kind: Kind, limit_bytes: int | None
) -> None:
    bucket_store.write("a", LARGE, if_generation=0)
    gcs.faults.add(Fault("media", kind, times=2))
    assert bucket_store.read("a", limit_bytes=limit_bytes).data == LARGE
    assert gcs.faults.count("media") == 3


@pytest.mark.parametrize(
    ("data", "operation", "skip"),
    [(SMALL, "insert", 0), (LARGE, "part", 0), (LARGE, "part", 2)],
)
def test_upload_damaged_on_its_way_is_sent_again(
    gcs: FakeGcs, bucket_store: GsStore, data: bytes, operation: Operation, skip: int
) -> None:
    gcs.faults.add(Fault(operation, "corrupt", skip=skip))
    bucket_store.write("a", data, if_generation=0)
    assert gcs.faults.num_met == 1
    assert gcs.bucket.objects["typos/a"].data == data


def test_server_that_keeps_something_else_is_made_to_keep_the_right_thing(
    gcs: FakeGcs, bucket_store: GsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs.bucket, "_check_hashes", lambda resource, data: None)
    gcs.faults.add(Fault("insert", "corrupt"))
    written = bucket_store.write("a", SMALL * 9, if_generation=0)
    assert bucket_store.read("a").data == SMALL * 9
    assert gcs.bucket.objects["typos/a"].generation == written.generation


@pytest.fixture
def resending(open_bucket: Callable[..., GsStore], monkeypatch: pytest.MonkeyPatch) -> GsStore:
    """A store whose failed parts the library resends, without pauses."""
    monkeypatch.setattr("google.api_core.retry.retry_base.random.uniform", lambda *_: 0.0)
    return open_bucket(patience={"timeouts": Timeouts(5.0, 20.0, 20.0)})


@pytest.mark.parametrize("kind", ["status", "reset_before", "reset_partway", "reset_after"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_failed_part_alone_is_resent(
    gcs: FakeGcs, resending: GsStore, caplog: pytest.LogCaptureFixture, kind: Kind, part: int
) -> None:
    gcs.faults.add(Fault("part", kind, skip=part))
    resending.write("a", LARGE, if_generation=0)
    assert gcs.bucket.objects["typos/a"].data == LARGE
    assert (gcs.faults.count("start"), gcs.faults.count("part")) == (1, 4)
    assert lines(caplog) == []


def test_twenty_mebibytes_survive_a_reset_in_their_middle(
    gcs: FakeGcs, resending: GsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job.storage.gcs.requests.PART_BYTES", 8 << 20)
    data = LARGE * 8
    gcs.faults.add(Fault("part", "reset_partway", skip=1))
    resending.write("a", data, if_generation=0)
    assert gcs.bucket.objects["typos/a"].data == data
    assert (gcs.faults.count("start"), gcs.faults.count("part")) == (1, 4)


@pytest.mark.parametrize("kept", [0, 256 * 1024])
def test_part_that_is_kept_in_part_only_starts_the_upload_over(
    gcs: FakeGcs,
    resending: GsStore,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    kept: int,
) -> None:
    real = gcs.bucket.append
    calls: list[int] = []

    def append(upload_id: str, part: bytes, *, start: int, total: int | None) -> Any:
        calls.append(start)
        taken = part[:kept] if len(calls) == 1 else part
        return real(upload_id, taken, start=start, total=total)

    monkeypatch.setattr(gcs.bucket, "append", append)
    resending.write("a", LARGE, if_generation=0)
    assert gcs.bucket.objects["typos/a"].data == LARGE
    assert gcs.faults.count("start") == 2
    assert lines(caplog) == [AWAY, BACK]


@pytest.mark.parametrize("status", [404, 410])
def test_upload_session_the_bucket_forgot_is_started_over(
    gcs: FakeGcs, bucket_store: GsStore, status: int
) -> None:
    gcs.faults.add(Fault("part", "status", status=status, skip=1))
    bucket_store.write("a", LARGE, if_generation=0)
    assert gcs.bucket.objects["typos/a"].data == LARGE
    assert gcs.faults.count("start") == 2


def test_own_large_upload_is_recognised_though_the_library_resent_its_end(
    gcs: FakeGcs, resending: GsStore
) -> None:
    """The first answer is lost, and the session has ended when the last part comes again."""
    gcs.faults.add(Fault("part", "reset_after", skip=2))
    gcs.faults.add(Fault("part", "status", status=412, skip=2))
    written = resending.write("a", LARGE, if_generation=0)
    assert gcs.bucket.objects["typos/a"].generation == written.generation


def test_nothing_of_an_upload_in_parts_shows_before_its_end(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    gcs.faults.add(Fault("part", "status", skip=2, times=None))
    with pytest.raises(StorageOutageError):
        bucket_store.write("a", LARGE, if_generation=0)
    assert bucket_store.list("") == []
    assert bucket_store.stat("a") is None


def test_upload_in_parts_fails_at_its_end_when_somebody_was_faster(
    gcs: FakeGcs, bucket_store: GsStore, open_bucket: Callable[..., GsStore]
) -> None:
    other = open_bucket()
    real = gcs.bucket.append

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        other.write("a", b"theirs", if_generation=None)
        return real(*args, **kwargs)

    gcs.bucket.append = overtaken  # type: ignore[method-assign]
    with pytest.raises(PreconditionFailedError):
        bucket_store.write("a", LARGE, if_generation=0)
    assert bucket_store.read("a").data == b"theirs"


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_lost_answer_does_not_hide_that_somebody_else_wrote_since(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], time: FakeTime, data: bytes
) -> None:
    """Equal length, equal bytes even: what another call wrote is not this call's success."""
    store, other = open_bucket(), open_bucket()
    first = store.write("a", b"old", if_generation=0)

    def meanwhile(_: float) -> None:
        other.write("a", data, if_generation=None)

    time.sleep = meanwhile  # type: ignore[method-assign]
    store = open_bucket()
    gcs.faults.add(Fault("insert" if data is SMALL else "start", "reset_before"))
    with pytest.raises(PreconditionFailedError):
        store.write("a", data, if_generation=first.generation)


def test_delete_whose_answer_was_lost_leaves_a_newer_object_alone(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], time: FakeTime
) -> None:
    other = open_bucket()
    first = other.write("a", b"old", if_generation=0)
    time.sleep = lambda _: other.write("a", b"new", if_generation=0)  # type: ignore
    gcs.faults.add(Fault("delete", "reset_after"))
    with pytest.raises(PreconditionFailedError):
        open_bucket().delete("a", if_generation=first.generation)
    assert gcs.bucket.objects["typos/a"].data == b"new"


@pytest.mark.parametrize("kind", ["reset_before", "status"])
def test_delete_of_what_never_was_is_told_apart_unless_a_try_failed(
    gcs: FakeGcs, bucket_store: GsStore, kind: Kind
) -> None:
    with pytest.raises(ObjectMissingError):
        bucket_store.delete("a", if_generation=7)
    gcs.faults.add(Fault("delete", kind))
    bucket_store.delete("a", if_generation=7)


def test_delete_the_bucket_calls_unmet_is_of_a_missing_object_if_there_is_none(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    """Whether a condition on nothing is met, the documentation leaves open: 404 or 412."""
    gcs.faults.add(Fault("delete", "status", status=412, times=None))
    with pytest.raises(ObjectMissingError):
        bucket_store.delete("a", if_generation=7)
    written = bucket_store.write("a", SMALL, if_generation=0)
    with pytest.raises(PreconditionFailedError):
        bucket_store.delete("a", if_generation=written.generation)


def test_conditional_write_refused_at_once_is_no_success_even_if_equal(
    bucket_store: GsStore,
) -> None:
    bucket_store.write("a", SMALL, if_generation=0)
    with pytest.raises(PreconditionFailedError):
        bucket_store.write("a", SMALL, if_generation=0)


def test_stalled_request_is_given_up_and_sent_again(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore]
) -> None:
    store = open_bucket(patience={"timeouts": Timeouts(read_seconds=0.2)})
    gcs.faults.add(Fault("insert", "stall"), Fault("media", "stall"))
    store.write("a", SMALL, if_generation=0)
    assert store.read("a").data == SMALL
    assert gcs.faults.num_met == 2
