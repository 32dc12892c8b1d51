"""The fake itself: the client library, and rules that the emulators break."""

import io
import os
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import google_crc32c
import pytest
from google.cloud import storage

from job.storage.gcs.client import connect
from job.storage.gcs.failures import (
    NotFoundError,
    TransientError,
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


def test_fake_heeds_the_checksum_of_an_upload_in_parts(gcs: FakeGcs) -> None:
    """The rule that fake-gcs-server breaks, see test_third_party_server.py."""
    opened = BucketRequests(lambda: connect("runs", emulator=gcs.url), timeouts=Timeouts())
    data = bytes(9 << 20)
    content = Content("a", io.BytesIO(data), len(data), google_crc32c.value(data) ^ 1, "w")
    with pytest.raises(TransientError, match="content arrived damaged"):
        opened.insert(content, if_generation=0)
    with pytest.raises(NotFoundError):
        opened.stat("a")
    opened.insert(replace(content, crc32c=google_crc32c.value(data)), if_generation=0)
    assert opened.read("a", limit_bytes=None)[0] == data
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
