"""What a bucket has that a folder has not, with nothing going wrong."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import google.auth.exceptions as auth
import pytest

from job.errors import ConfigError, PermissionDeniedError
from job.storage.gcs.client import BucketPlace, parse_gs_uri
from job.storage.gcs.requests import WRITE_ID, Content
from job.storage.gcs.store import GsStore
from job.storage.object_store import ListedObject, ObjectTooLargeError, StoredObject
from tests.fakes.gcs.wire import Answer
from tests.fakes.gcs_server import FakeGcs, Fault

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("gs://runs", BucketPlace("runs", "")),
        ("gs://runs/", BucketPlace("runs", "")),
        ("gs://runs/a", BucketPlace("runs", "a/")),
        ("gs://runs/a/b c/", BucketPlace("runs", "a/b c/")),
        ("gs://my_bucket-1.example.com/a", BucketPlace("my_bucket-1.example.com", "a/")),
        ("gs://runs/a?b#c%20d", BucketPlace("runs", "a?b#c%20d/")),
    ],
)
def test_uri_names_a_bucket_and_a_prefix(uri: str, place: BucketPlace) -> None:
    assert parse_gs_uri(uri) == place
    assert parse_gs_uri(place.uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        "gs://",
        "gs:///a",
        "gs://ab",
        "gs://Runs/a",
        "gs://-runs",
        "gs://runs-",
        "gs://ru..ns",
        "gs://user@runs/a",
        "gs://runs:443/a",
        "gs://" + "x" * 64,
        "gs://runs//a",
        "gs://runs/a//b",
        "gs://runs/../b",
        "gs://runs/.a",
        "gs://runs/a\n",
        "gs://runs/" + "x" * 1025,
        "runs/a",
    ],
)
def test_uri_that_names_no_place_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"run\.root: 'g?s?.*"):
        parse_gs_uri(uri)


def test_name_too_long_with_its_prefix_is_refused_before_it_is_sent() -> None:
    place = parse_gs_uri("gs://runs/team")
    assert place.full_name("x" * 1019) == "team/" + "x" * 1019
    with pytest.raises(ValueError, match="1025 bytes, more than 1024"):
        place.full_name("x" * 1020)


def test_only_what_is_below_the_prefix_is_the_stores(
    open_bucket: Callable[..., GsStore],
) -> None:
    one, other, all_of_it = (
        open_bucket(f"gs://runs{path}") for path in ("/typos", "/typos-2", "")
    )
    one.write("a", b"1", if_generation=0)
    other.write("a", b"22", if_generation=0)
    assert [(found.name, found.size) for found in one.list("")] == [("a", 1)]
    assert [found.name for found in all_of_it.list("")] == ["typos-2/a", "typos/a"]
    assert all_of_it.read("typos/a").data == b"1"


def test_objects_that_stand_for_folders_are_not_listed(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    for name in ("typos/", "typos/ckpt/", "typos/.lock", "typos/a//b"):
        gcs.bucket.insert({"name": name}, b"", if_generation=0)
    written = bucket_store.write("ckpt/a", b"1", if_generation=0)
    assert bucket_store.list("") == [ListedObject("ckpt/a", 1, written.generation)]


def test_listing_of_several_pages_is_whole_and_a_broken_page_is_asked_for_again(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    names = [f"typos/{number:05d}" for number in range(2500)]
    for name in names:
        gcs.bucket.insert({"name": name}, b"", if_generation=0)
    gcs.faults.add(Fault("list", "status", skip=1))
    assert [f"typos/{one.name}" for one in bucket_store.list("")] == names
    assert gcs.faults.count("list") == 4


def test_object_carries_who_wrote_it_and_is_never_cached(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    for name, size in (("small", 9), ("large", 9 * 2**20)):
        bucket_store.write(name, bytes(size), if_generation=0)
        stored = gcs.bucket.objects[f"typos/{name}"]
        assert stored.properties["cacheControl"] == "no-store"
        assert len(stored.properties["metadata"][WRITE_ID]) == 16


def test_object_without_our_mark_is_as_good(gcs: FakeGcs, bucket_store: GsStore) -> None:
    gcs.bucket.insert({"name": "typos/a"}, b"123", if_generation=0)
    assert bucket_store.read("a").data == b"123"
    found = bucket_store.stat("a")
    assert found is not None
    assert found.size == 3


@pytest.mark.parametrize("limit_bytes", [None, 3, 100])
def test_read_is_one_request(
    gcs: FakeGcs, bucket_store: GsStore, limit_bytes: int | None
) -> None:
    bucket_store.write("a", b"123", if_generation=0)
    bucket_store.read("a", limit_bytes=limit_bytes)
    assert gcs.faults.requests[1:] == [("media", "typos/a")]


def test_of_a_large_object_no_more_is_downloaded_than_shows_its_size(
    gcs: FakeGcs, bucket_store: GsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket_store.write("a", bytes(1000), if_generation=0)
    sent: list[int] = []
    real = gcs._http.api._media

    def media(*args: Any) -> Answer:
        answer = real(*args)
        sent.append(len(answer.body))
        return answer

    monkeypatch.setattr(gcs._http.api, "_media", media)
    with pytest.raises(ObjectTooLargeError, match="larger than the limit of 10"):
        bucket_store.read("a", limit_bytes=10)
    assert sent == [11]


def test_empty_object_has_no_range_and_is_looked_up(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    written = bucket_store.write("a", b"", if_generation=0)
    assert bucket_store.read("a", limit_bytes=0) == StoredObject(b"", written.generation)
    assert [operation for operation, _ in gcs.faults.requests[1:]] == ["media", "get"]


def test_checksum_that_an_answer_lacks_is_looked_up(
    gcs: FakeGcs, bucket_store: GsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = bucket_store.write("a", b"123", if_generation=0)
    real = gcs._http.api._media

    def media(*args: Any) -> Answer:
        answer = real(*args)
        headers = {key: text for key, text in answer.headers.items() if key != "X-Goog-Hash"}
        return replace(answer, headers=headers)

    monkeypatch.setattr(gcs._http.api, "_media", media)
    assert bucket_store.read("a", limit_bytes=9) == StoredObject(b"123", written.generation)


@pytest.mark.parametrize(
    ("exists", "requests"), [(False, ["insert"]), (True, ["insert", "get", "insert"])]
)
def test_unconditional_write_expects_nothing_first(
    gcs: FakeGcs, bucket_store: GsStore, exists: bool, requests: list[str]
) -> None:
    if exists:
        bucket_store.write("a", b"old", if_generation=0)
    before = len(gcs.faults.requests)
    bucket_store.write("a", b"new", if_generation=None)
    assert [operation for operation, _ in gcs.faults.requests[before:]] == requests


def test_unconditional_delete_is_one_request(gcs: FakeGcs, bucket_store: GsStore) -> None:
    bucket_store.write("a", b"1", if_generation=0)
    bucket_store.delete("a", if_generation=None)
    assert gcs.faults.requests[1:] == [("delete", "typos/a")]


def test_client_asks_for_nothing_but_objects(gcs: FakeGcs, bucket_store: GsStore) -> None:
    """No permission on the bucket itself, and no requests from threads of its own."""
    bucket_store.write("a", b"1", if_generation=None)
    bucket_store.read("a")
    bucket_store.list("")
    bucket_store.delete("a", if_generation=None)
    assert gcs.faults.count("bucket") == 0


def test_opening_a_store_touches_no_network() -> None:
    GsStore("gs://runs/a", emulator="http://127.0.0.1:1").close()


def test_closed_store_opens_new_connections(bucket_store: GsStore) -> None:
    bucket_store.write("a", b"1", if_generation=0)
    bucket_store.close()
    assert bucket_store.read("a").data == b"1"


def test_without_credentials_it_is_said_how_to_give_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_found(*_: object, **__: object) -> None:
        raise auth.DefaultCredentialsError("secret-text")

    monkeypatch.setattr("google.auth.default", none_found)
    store = GsStore("gs://runs/typos")
    with pytest.raises(PermissionDeniedError, match="GOOGLE_APPLICATION_CREDENTIALS") as caught:
        store.stat("a")
    assert caught.value.exit_code == 6
    assert "workload identity" in str(caught.value)
    assert "secret-text" not in str(caught.value)


def test_emulator_of_the_process_environment_is_not_followed_by_accident(
    gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    with pytest.raises(ConfigError, match=r"run\.allow_emulator"):
        GsStore("gs://runs/typos").stat("a")
    assert gcs.faults.requests == []


def test_url_of_an_upload_session_is_in_no_message_and_no_chain(
    gcs: FakeGcs, bucket_store: GsStore, caplog: pytest.LogCaptureFixture
) -> None:
    gcs.faults.add(Fault("part", "reset_before", times=None))
    with pytest.raises(Exception, match="could not create") as caught:
        bucket_store.write("a", bytes(9 * 2**20), if_generation=0)
    error: BaseException | None = caught.value
    while error is not None:
        assert "upload" not in str(error)
        error = error.__cause__
    assert "upload_id" not in caplog.text
    assert "stream=" not in repr(Content("a", io.BytesIO(b"secret"), 6, 1, "w"))
