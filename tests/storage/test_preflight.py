from collections.abc import Callable
from pathlib import Path

import pytest

from job.errors import ConfigError, PermissionDeniedError, PreemptedError, StorageOutageError
from job.storage.gcs.store import GsStore
from job.storage.local import FileStore
from job.storage.object_store import ObjectStat, ObjectStore
from job.storage.preflight import check_permissions
from tests.fakes.gcs.faults import Operation
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.fakes.memory_store import MemoryStore
from tests.storage.conftest import FakeTime


class Unconditional(MemoryStore):
    """Ignores what a writer expects, as one emulator does."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        return super().write(name, data, if_generation=None)


def test_store_that_allows_everything_passes_and_is_as_it_was(
    tmp_path: Path, gcs: FakeGcs, bucket_store: GsStore
) -> None:
    stores: list[ObjectStore] = [MemoryStore(), FileStore(tmp_path), bucket_store]
    for store in stores:
        before = store.write("ckpt/a", b"1", if_generation=0)
        check_permissions(store, nonce="abcd")
        assert [(one.name, one.generation) for one in store.list("")] == [
            ("ckpt/a", before.generation)
        ]


@pytest.mark.parametrize(
    ("denied", "left"),
    [
        ("storage.objects.create", []),
        ("storage.objects.get", []),
        ("storage.objects.list", []),
        ("storage.objects.delete", ["typos/access-check/abcd"]),
    ],
)
def test_missing_permission_is_named_and_nothing_is_left_that_can_be_removed(
    gcs: FakeGcs, bucket_store: GsStore, denied: str, left: list[str]
) -> None:
    gcs.bucket.denied = {denied}
    with pytest.raises(PermissionDeniedError, match=denied) as caught:
        check_permissions(bucket_store, nonce="abcd")
    assert caught.value.exit_code == 6
    assert "gs://runs/typos" in str(caught.value)
    assert list(gcs.bucket.objects) == left


def test_check_takes_five_requests(gcs: FakeGcs, bucket_store: GsStore) -> None:
    check_permissions(bucket_store, nonce="abcd")
    asked = [operation for operation, _ in gcs.faults.requests]
    assert asked == ["insert", "media", "insert", "list", "delete"]


def test_store_that_ignores_conditions_is_refused_and_left_clean() -> None:
    store = Unconditional()
    with pytest.raises(ConfigError, match="conditions on a write are ignored"):
        check_permissions(store, nonce="abcd")
    assert store.list("") == []


def test_missing_bucket_and_outage_are_what_they_are(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore]
) -> None:
    with pytest.raises(ConfigError, match="no bucket"):
        check_permissions(open_bucket("gs://no-such-bucket"), nonce="abcd")
    gcs.faults.add(Fault("media", "status", times=None))
    with pytest.raises(StorageOutageError):
        check_permissions(open_bucket(), nonce="abcd")


@pytest.mark.parametrize(
    "away",
    [
        ("insert", "get", "media", "list", "delete"),
        ("media", "delete"),
        ("list", "delete"),
        ("delete",),
    ],
)
def test_outage_is_waited_for_once_and_not_once_more_to_clean_up(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime, away: tuple[Operation, ...]
) -> None:
    gcs.faults.add(*(Fault(operation, "status", times=None) for operation in away))
    with pytest.raises(StorageOutageError):
        check_permissions(bucket_store, nonce="abcd")
    assert sum(time.pauses) == pytest.approx(600.0)


def test_stop_that_ends_the_waiting_is_not_followed_by_more_requests(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], time: FakeTime
) -> None:
    stop = PreemptedError("Stopped by SIGTERM.")
    asked = []

    def sleep(_: float) -> None:
        asked.append(len(gcs.faults.requests))
        raise stop

    time.sleep = sleep  # type: ignore[method-assign]
    gcs.faults.add(Fault("media", "status", times=None))
    with pytest.raises(PreemptedError) as caught:
        check_permissions(open_bucket(), nonce="abcd")
    assert caught.value is stop
    assert asked == [len(gcs.faults.requests)]


def test_stop_during_the_clean_up_is_what_the_check_ends_with(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], time: FakeTime
) -> None:
    stop = PreemptedError("Stopped by SIGTERM.")

    def sleep(_: float) -> None:
        raise stop

    time.sleep = sleep  # type: ignore[method-assign]
    gcs.bucket.denied = {"storage.objects.list"}
    gcs.faults.add(Fault("delete", "status", times=None))
    with pytest.raises(PreemptedError) as caught:
        check_permissions(open_bucket(), nonce="abcd")
    assert caught.value is stop


def test_outage_during_the_clean_up_does_not_hide_what_was_found(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    gcs.bucket.denied = {"storage.objects.list"}
    gcs.faults.add(Fault("delete", "status", times=None))
    with pytest.raises(PermissionDeniedError, match=r"storage\.objects\.list"):
        check_permissions(bucket_store, nonce="abcd")


def test_lost_answers_do_not_matter(gcs: FakeGcs, bucket_store: GsStore) -> None:
    gcs.faults.add(Fault("insert", "reset_after", times=2), Fault("delete", "reset_after"))
    check_permissions(bucket_store, nonce="abcd")
    assert gcs.bucket.objects == {}
