"""Objects on their way into a bucket: failed parts, slow links, answers that say nothing."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from google.cloud import storage

from job.checkpoints.serialization import spec_of
from job.checkpoints.shards import encode_shard, plan_shards
from job.errors import ConfigError, StorageOutageError
from job.storage.gcs.failures import TransientError
from job.storage.gcs.requests import Timeouts, found_in
from job.storage.gcs.retry import RetryPolicy
from job.storage.gcs.store import GsStore
from tests.fakes.gcs.objects import ApiError
from tests.fakes.gcs.wire import Answer
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.storage.conftest import FakeTime
from tests.storage.gcs.bucket_actions import AWAY, BACK, LARGE, SMALL, lines, small_parts

__all__ = ["small_parts"]  # a fixture, used by its name

GONE = ApiError(410, "Gone.")
CORRUPT = ApiError(400, 'Provided CRC32C "a" doesn\'t match calculated CRC32C "b".')


def fail_last_parts(gcs: FakeGcs, error: ApiError, *, times: int = 10**6) -> None:
    """An upload fails when it is complete, and never before."""
    real, left = gcs.bucket.insert, times

    def insert(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return real(*args, **kwargs)

    gcs.bucket.insert = insert  # type: ignore[method-assign]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("error", [GONE, CORRUPT])
def test_upload_whose_last_part_always_fails_spends_its_budget_and_says_so_once(
    gcs: FakeGcs,
    bucket_store: GsStore,
    time: FakeTime,
    caplog: pytest.LogCaptureFixture,
    error: ApiError,
) -> None:
    """Parts that a new session takes once more are no sign that the upload gets anywhere."""
    fail_last_parts(gcs, error)
    with pytest.raises(
        StorageOutageError, match=r"could not create: \d+ tries failed in 600 s"
    ):
        bucket_store.write("a", LARGE, if_generation=0)
    assert sum(time.pauses) == pytest.approx(600.0)
    assert gcs.faults.count("start") == len(time.pauses) + 1
    assert lines(caplog) == [AWAY]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("error", [GONE, CORRUPT])
def test_upload_whose_last_part_fails_for_a_while_is_one_outage(
    gcs: FakeGcs, bucket_store: GsStore, caplog: pytest.LogCaptureFixture, error: ApiError
) -> None:
    fail_last_parts(gcs, error, times=3)
    bucket_store.write("a", LARGE, if_generation=0)
    assert gcs.bucket.objects["typos/a"].data == LARGE
    assert lines(caplog) == [AWAY, BACK]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("status", [302, 400, 413, 416])
def test_part_that_is_refused_is_not_sent_again(
    gcs: FakeGcs, bucket_store: GsStore, time: FakeTime, status: int
) -> None:
    gcs.faults.add(Fault("part", "status", status=status, skip=1, times=None))
    with pytest.raises(ConfigError, match=f"refused to create: {status} "):
        bucket_store.write("a", LARGE, if_generation=0)
    assert time.pauses == []


def change_one_answer(
    gcs: FakeGcs, operation: str, changed: Callable[[Answer], Answer]
) -> None:
    """The bucket does what it is asked to, and then says something else about it, once."""
    api, name = gcs._http.api, f"_{operation}"
    real = getattr(api, name)

    def answered(*args: Any) -> Answer:
        answer: Answer = real(*args)
        if answer.status != 200:
            return answer
        setattr(api, name, real)
        return changed(answer)

    setattr(api, name, answered)


def html(answer: Answer) -> Answer:
    return Answer(200, b"<html>Welcome to this network</html>", {"Content-Type": "text/html"})


def without_crc32c(answer: Answer) -> Answer:
    document = json.loads(answer.body)
    del document["crc32c"]
    return replace(answer, body=json.dumps(document).encode())


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("changed", [html, without_crc32c])
@pytest.mark.parametrize(("operation", "data"), [("insert", SMALL), ("part", LARGE)])
def test_success_that_describes_no_object_is_looked_into(
    gcs: FakeGcs,
    bucket_store: GsStore,
    caplog: pytest.LogCaptureFixture,
    operation: str,
    data: bytes,
    changed: Callable[[Answer], Answer],
) -> None:
    change_one_answer(gcs, operation, changed)
    written = bucket_store.write("a", data, if_generation=0)
    assert gcs.bucket.objects["typos/a"].generation == written.generation
    assert gcs.bucket.objects["typos/a"].data == data
    assert lines(caplog) == [AWAY, BACK]


@pytest.mark.parametrize("changed", [html, without_crc32c])
def test_metadata_that_describe_no_object_are_asked_for_again(
    gcs: FakeGcs, bucket_store: GsStore, changed: Callable[[Answer], Answer]
) -> None:
    written = bucket_store.write("a", SMALL, if_generation=0)
    change_one_answer(gcs, "get", changed)
    assert bucket_store.stat("a") == written


@pytest.mark.parametrize(
    "resource",
    [
        None,
        [],
        "text",
        {},
        {"size": "1", "generation": "2"},
        {"size": "1", "generation": "2", "crc32c": None},
        {"size": "1", "generation": "2", "crc32c": "AAAA"},
        {"size": "1", "generation": "2", "crc32c": "not base64"},
        {"size": "x", "generation": "2", "crc32c": "AAAAAA=="},
        {"size": "1", "generation": None, "crc32c": "AAAAAA=="},
        {"size": "1", "generation": "2", "crc32c": "AAAAAA==", "metadata": "text"},
    ],
)
def test_resource_that_describes_no_object_is_a_passing_failure(resource: Any) -> None:
    blob = storage.Bucket(client=None, name="runs").blob("a")
    blob._properties = resource
    with pytest.raises(TransientError, match="the answer describes no object"):
        found_in(blob)


@pytest.mark.parametrize("num_mebibytes", [8, 17])  # in one request, and in parts
def test_link_that_is_slower_than_a_connection_may_be_takes_an_upload(
    num_mebibytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What the sockets do not hold has to be taken before the answer can be waited for."""
    data = bytes(num_mebibytes * 2**20)
    timeouts = Timeouts(connect_seconds=0.1, send_seconds=30.0)
    patience = RetryPolicy(budget_seconds=0.1, timeouts=timeouts)
    with FakeGcs(seconds_before_content=0.3) as server:
        store = GsStore("gs://runs/typos", emulator=server.url, patience=patience)
        store.write("a", data, if_generation=0)
        assert server.bucket.objects["typos/a"].data == data
        store.close()
    assert lines(caplog) == []


def test_link_that_takes_nothing_for_too_long_is_given_up() -> None:
    patience = RetryPolicy(budget_seconds=0.01, timeouts=Timeouts(send_seconds=0.1))
    with FakeGcs(seconds_before_content=60.0) as server:
        store = GsStore("gs://runs/typos", emulator=server.url, patience=patience)
        with pytest.raises(StorageOutageError, match="could not create"):
            store.write("a", bytes(8 * 2**20), if_generation=0)
        store.close()


def test_full_shard_of_a_checkpoint_is_one_request(gcs: FakeGcs, bucket_store: GsStore) -> None:
    """Also one of many small variables: the headers of the archive fit into what is left."""
    sizes = {"large": 5 << 20, **{f"{'long' * 20}{i:03d}": 9000 for i in range(300)}}
    variables = {f"model|{key}": np.zeros(size, np.float32) for key, size in sizes.items()}
    shards = plan_shards(spec_of(variables), split=False)
    for shard in shards:
        data = encode_shard(shard, variables, meta=bytes(100_000))
        bucket_store.write(shard.name, data, if_generation=0)
    assert [operation for operation, _ in gcs.faults.requests] == ["insert"] * len(shards)
    assert len(shards) == 4


@pytest.mark.parametrize("size", [8 << 20, 9 << 20])
def test_four_threads_upload_at_once(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], size: int
) -> None:
    create = partial(open_bucket().write, if_generation=0)
    contents = {f"{number}": bytes([number]) * size for number in range(4)}
    gcs.faults.add(Fault("insert" if size == 8 << 20 else "part", "reset_after", times=2))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, contents, contents.values()))
    assert {name: gcs.bucket.objects[f"typos/{name}"].data for name in contents} == contents
