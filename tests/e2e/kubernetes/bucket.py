"""A bucket on this machine that pods reach and tests look into."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from job.storage.gcs.store import GsStore
from job.storage.object_store import ObjectStore
from tests.e2e.conftest import ask_directly
from tests.fakes.gcs_server import FakeGcs


@dataclass(frozen=True)
class Bucket:
    """The bucket `runs`.

    Attributes:
        address: `host:port` of its server.
        store: Everything in it.
    """

    address: str
    store: ObjectStore

    def read(self, name: str) -> bytes:
        """Content of one object."""
        return self.store.read(name).data


@contextmanager
def serve_bucket(host: str) -> Iterator[Bucket]:
    """Serves an empty bucket on an address of this machine for the block."""
    with pytest.MonkeyPatch.context() as patch, FakeGcs(bucket="runs", host=host) as server:
        ask_directly(patch, host)
        store = GsStore("gs://runs", emulator=server.url)
        yield Bucket(server.url.removeprefix("http://"), store)
        store.close()
