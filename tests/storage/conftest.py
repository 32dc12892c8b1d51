"""A bucket on the loopback interface, and time that costs none."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from job.storage.gcs.requests import Timeouts
from job.storage.gcs.retry import RetryPolicy
from job.storage.gcs.store import GsStore
from tests.fakes.gcs_server import FakeGcs


class FakeTime:
    """A clock that only sleeping moves; every pause is the longest one allowed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def _no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shell says about proxies and buckets is not part of a test."""
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def gcs() -> Iterator[FakeGcs]:
    with FakeGcs() as server:
        yield server


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def open_bucket(gcs: FakeGcs, time: FakeTime) -> Iterator[Callable[..., GsStore]]:
    """Opens stores in the fake bucket, and closes them."""
    opened = []

    def open_one(uri: str = "gs://runs/typos", **options: Any) -> GsStore:
        options = {"emulator": gcs.url, "uniform": lambda low, high: high} | options
        options |= {"monotonic": time.monotonic, "sleep": time.sleep}
        patience = options.pop("patience", {})
        # The library resends nothing: it would sleep by its own clock.
        patience = {"timeouts": Timeouts(5.0, 20.0, 20.0, resend_seconds=0.0)} | patience
        store = GsStore(uri, patience=RetryPolicy(**patience), **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def bucket_store(open_bucket: Callable[..., GsStore]) -> GsStore:
    return open_bucket()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)
