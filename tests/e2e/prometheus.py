"""A real Prometheus on this machine, asked over its HTTP API.

::

    scrape = [{"job_name": "run", "static_configs": [{"targets": ["127.0.0.1:9464"]}]}]
    with start_prometheus(tmp_path, scrape=scrape) as server:
        server.vector("siamese_loss")
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 60


@dataclass(frozen=True)
class Prometheus:
    """A server that answers.

    Attributes:
        url: Where.
    """

    url: str

    def api(self, path: str, **parameters: Any) -> Any:
        """The `data` of an answer of `/api/v1/PATH`."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        return answer["data"]

    def vector(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector that `expr` is now."""
        result: list[dict[str, Any]] = self.api("query", query=expr)["result"]
        return result


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def start_prometheus(
    folder: Path, *, scrape: Sequence[Mapping[str, Any]], every: str = "1s"
) -> Iterator[Prometheus]:
    """Runs Prometheus for the block; without one the test is skipped, but not in CI.

    Args:
        folder: Its configuration, its data and its log; made if it is missing.
        scrape: `scrape_configs` of its configuration.
        every: Its `scrape_interval`.
    """
    if shutil.which("prometheus") is None:
        assert not os.environ.get("CI"), "prometheus is not installed; `make system` does it"
        pytest.skip("prometheus is not installed (Debian package `prometheus`)")
    folder.mkdir(exist_ok=True)
    config = folder / "prometheus.yml"
    content = {"global": {"scrape_interval": every}, "scrape_configs": list(scrape)}
    config.write_text(json.dumps(content), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        server = Prometheus(f"http://{address}")
        _wait_until_ready(server, process=process, log=folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def _wait_until_ready(
    server: Prometheus, *, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{server.url}/-/ready", timeout=5).close()
        except OSError:
            text = log.read_text(encoding="utf-8")
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.2)
        else:
            return
