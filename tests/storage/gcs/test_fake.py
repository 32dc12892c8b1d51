"""The fake itself: the client library, and rules that the emulators break."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import google_crc32c
import pytest
from google.cloud import storage

from job.storage.gcs.client import connect
from job.storage.gcs.failures import (
    DamagedError,
    NotFoundError,
)
from job.storage.gcs.requests import BucketRequests, Content, Timeouts
from tests.fakes.gcs_server import FakeGcs, Fault

REPOSITORY = Path(__file__).parents[3]


def test_the_fake_satisfies_the_client_library_with_its_own_settings(gcs: FakeGcs) -> None:
    """The library's retries and checksums are off in our store and on here."""
    client = storage.Client(
        project=None,
        client_options={"api_endpoint": gcs.url},
        use_auth_w_custom_endpoint=False,
    )
    bucket = client.bucket("runs")
    blob = bucket.blob("a/b c", chunk_size=256 * 1024)
    data = os.urandom(700_000)
    blob.upload_from_string(data, if_generation_match=0, checksum="crc32c")
    assert bucket.blob("a/b c").download_as_bytes() == data
    assert bucket.blob("a/b c").download_as_bytes(start=10, end=19) == data[10:20]
    bucket.blob("d").upload_from_string(b"small", checksum="md5")
    assert [one.name for one in client.list_blobs("runs", page_size=1)] == ["a/b c", "d"]
    gcs.faults.add(Fault("get", "status"))
    assert bucket.get_blob("d").size == 5
    bucket.delete_blob("d")
    assert client.lookup_bucket("other-bucket") is None
    client.close()


def test_fake_keeps_the_rules_of_uploads_in_parts(gcs: FakeGcs) -> None:
    """The two that fake-gcs-server breaks, see test_third_party_server.py."""
    opened = BucketRequests(lambda: connect("runs", emulator=gcs.url), timeouts=Timeouts())
    data, half = bytes(2**19), 2**18
    crc32c = google_crc32c.value(data)
    wrong = opened.start_session(Content("a", data, crc32c ^ 1, "w"), if_generation=0)
    right = opened.start_session(Content("a", data, crc32c, "w"), if_generation=0)
    for url in (wrong, right):
        opened.put(url, data[:half], content_range=f"bytes 0-{half - 1}/{len(data)}")
        answer = opened.put(url, b"", content_range=f"bytes */{len(data)}")
        assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{half - 1}")
        with pytest.raises(NotFoundError):
            opened.stat("a")
    rest = f"bytes {half}-{len(data) - 1}/{len(data)}"
    with pytest.raises(DamagedError):
        opened.put(wrong, data[half:], content_range=rest)
    # A part that is sent again is taken once.
    opened.put(right, data[:half], content_range=f"bytes 0-{half - 1}/{len(data)}")
    assert opened.put(right, data[half:], content_range=rest).status_code == 200
    assert opened.read("a", generation=opened.stat("a").generation) == data
    opened.close()


def test_fake_runs_alone() -> None:
    command = [sys.executable, "-m", "tests.fakes.gcs_server", "--bucket", "alone"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        variable, _, url = process.stdout.readline().strip().partition("=")
        assert variable == "STORAGE_EMULATOR_HOST"
        with urllib.request.urlopen(f"{url}/storage/v1/b/alone", timeout=10) as answer:
            assert answer.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=10)
