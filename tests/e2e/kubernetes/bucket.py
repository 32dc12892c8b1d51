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
        server: Where permissions are taken away, and faults are planted.
        store: Everything in it.
    """

    server: FakeGcs
    store: ObjectStore

    @property
    def address(self) -> str:
        """`host:port` of the server."""
        return self.server.url.removeprefix("http://")

    def read(self, name: str) -> bytes:
        """Content of one object."""
        return self.store.read(name).data

    @contextmanager
    def open_run(self, name: str) -> Iterator[ObjectStore]:
        """The directory of one run for the block."""
        store = GsStore(f"gs://runs/{name}", emulator=self.server.url)
        yield store
        store.close()


@contextmanager
def serve_bucket(host: str) -> Iterator[Bucket]:
    """Serves an empty bucket on an address of this machine for the block."""
    with pytest.MonkeyPatch.context() as patch, FakeGcs(bucket="runs", host=host) as server:
        ask_directly(patch, host)
        store = GsStore("gs://runs", emulator=server.url)
        yield Bucket(server, store)
        store.close()
