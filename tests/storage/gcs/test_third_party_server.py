"""A second opinion: the conformance suite against an emulator that others wrote.

Our own fake could share a misunderstanding with the code it tests; fake-gcs-server
(https://github.com/fsouza/fake-gcs-server) cannot. It runs where it is installed.
"""

import io
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count

import google_crc32c
import pytest

from job.storage.gcs.client import connect
from job.storage.gcs.failures import TransientError
from job.storage.gcs.requests import BucketRequests, Content, Timeouts
from job.storage.gcs.retry import RetryPolicy
from job.storage.gcs.store import GsStore
from job.storage.preflight import check_permissions
from tests.storage import test_conformance as conformance

BINARY = shutil.which("fake-gcs-server")
if BINARY is None:
    pytest.skip("fake-gcs-server is not installed", allow_module_level=True)

# What it is known to do otherwise than Cloud Storage, by the test that meets it.
KNOWN_GAPS = {
    "test_delete_needs_the_present_generation": "ignores conditions on a delete",
    "test_upload_in_parts_with_a_wrong_checksum_is_refused": (
        "forgets the declared crc32c after the first part"
    ),
}

_numbers = count()
BIG = bytes(range(256)) * (9 * 4096)


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(BINARY), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-external-url", url, "-public-host", url[7:]]
    process = subprocess.Popen([*command, "-data", "", "-log-level", "error"])
    try:
        _make_bucket(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _make_bucket(url: str) -> None:
    request = urllib.request.Request(
        f"{url}/storage/v1/b?project=tests",
        data=json.dumps({"name": "runs"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(request, timeout=5):
            return
        time.sleep(0.05)  # another program's start-up has no other sign
    raise AssertionError("fake-gcs-server did not start")


@pytest.fixture
def store(request: pytest.FixtureRequest, emulator: str) -> Iterator[GsStore]:
    _mark_gap(request)
    uri = f"gs://runs/test-{next(_numbers)}"
    opened = GsStore(uri, emulator=emulator, patience=RetryPolicy(budget_seconds=5.0))
    yield opened
    opened.close()


@pytest.fixture
def requests(request: pytest.FixtureRequest, emulator: str) -> Iterator[BucketRequests]:
    """Single requests, as no store would send them."""
    _mark_gap(request)
    opened = BucketRequests(lambda: connect("runs", emulator=emulator), timeouts=Timeouts())
    yield opened
    opened.close()


def _mark_gap(request: pytest.FixtureRequest) -> None:
    gap = KNOWN_GAPS.get(request.node.originalname)
    if gap is not None:
        request.applymarker(pytest.mark.xfail(reason=f"fake-gcs-server {gap}", strict=True))


_takes_store = {
    name: test
    for name, test in vars(conformance).items()
    if name.startswith("test_") and "store" in test.__annotations__
}
globals().update(_takes_store)
_busy_scheduler = conformance._busy_scheduler


def test_the_whole_suite_is_here() -> None:
    assert len(_takes_store) > 12
    assert set(KNOWN_GAPS) <= set(globals())


def test_object_in_parts_is_kept(store: GsStore) -> None:
    written = store.write("a", BIG, if_generation=0)
    assert (written.size, store.read("a").data) == (len(BIG), BIG)


def test_upload_in_parts_with_a_wrong_checksum_is_refused(requests: BucketRequests) -> None:
    crc32c = google_crc32c.value(BIG) ^ 1
    content = Content(f"crc-{next(_numbers)}", io.BytesIO(BIG), len(BIG), crc32c, "w")
    with pytest.raises(TransientError, match="content arrived damaged"):
        requests.insert(content, if_generation=0)


def test_preflight_passes(store: GsStore) -> None:
    check_permissions(store, nonce="abcd")
    assert store.list("") == []
