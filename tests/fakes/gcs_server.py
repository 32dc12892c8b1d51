"""A stand-in for Cloud Storage that does what the real one does, and fails when told to.

The emulators there are ignore some of the preconditions this program relies on, and none of
them loses an answer on request. In a test::

    with FakeGcs(bucket="runs") as server:
        store = GsStore("gs://runs/typos", emulator=server.url)
        server.faults.add(Fault("insert", "reset_after"))

Alone: `python -m tests.fakes.gcs_server --port 4443 --bucket runs`, and in the other shell
`STORAGE_EMULATOR_HOST=http://127.0.0.1:4443` with `run.allow_emulator: true`.
"""

import argparse
import threading
from typing import Self

from tests.fakes.gcs.api import Api
from tests.fakes.gcs.faults import Fault, Faults
from tests.fakes.gcs.objects import Bucket
from tests.fakes.gcs.server import HttpServer

__all__ = ["FakeGcs", "Fault"]


class FakeGcs:
    """One bucket behind HTTP; a context manager.

    Args:
        bucket: Its name; no other bucket exists.
        port: TCP port; 0: any free one.
        host: Address of this machine to listen on.
        seconds_before_content: How long what comes with a request lies in the network before it
            is taken, as behind a slow link.

    Attributes:
        url: What STORAGE_EMULATOR_HOST has to be.
        bucket: What it holds; its `denied` is the set of permissions taken away.
        faults: What shall go wrong, and what was asked.
    """

    def __init__(
        self,
        *,
        bucket: str = "runs",
        port: int = 0,
        host: str = "127.0.0.1",
        seconds_before_content: float = 0.0,
    ) -> None:
        self.bucket = Bucket(bucket)
        self.faults = Faults()
        self._http = HttpServer((host, port))
        self._http.faults = self.faults
        self._http.seconds_before_content = seconds_before_content
        self._http.api = Api(self.bucket, base_url=lambda: self.url)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()
        self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for Cloud Storage on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0 takes any free one")
    parser.add_argument("--bucket", default="runs", help="the one bucket there is")
    arguments = parser.parse_args()
    with FakeGcs(bucket=arguments.bucket, port=arguments.port) as server:
        print(f"STORAGE_EMULATOR_HOST={server.url}", flush=True)  # noqa: T201 - its one output
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
