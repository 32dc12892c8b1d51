"""A Prometheus on this machine that finds and scrapes the pods of a namespace.

Debian builds Prometheus without its Kubernetes discovery, so `Discovery` does that part: it
keeps a file of targets up to date, which Prometheus watches.
"""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from tests.e2e.kubernetes.cluster import run


@dataclass(frozen=True)
class Prometheus:
    """A server that answers queries.

    Attributes:
        url: Where.
    """

    url: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector that `expr` is now."""
        query = urllib.parse.urlencode({"query": expr})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=10) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


class Discovery:
    """Writes the running pods of a namespace as scrape targets; a context manager.

    Args:
        path: File of targets, in the form of `file_sd_configs`.
        namespace: Whose pods.
    """

    def __init__(self, path: Path, *, namespace: str) -> None:
        self._path, self._namespace = path, namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            pods = run("kubectl", "-n", self._namespace, "get", "pods", "-o", "json")
            if pods.returncode == 0:
                part = self._path.with_suffix(".part")
                part.write_text(json.dumps(targets_of(json.loads(pods.stdout)["items"])))
                part.replace(self._path)


def targets_of(pods: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What to scrape: every container port named `metrics` of a running pod."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {
                "namespace": pod["metadata"]["namespace"],
                "pod": pod["metadata"]["name"],
            },
        }
        for pod in pods
        if pod["status"]["phase"] == "Running" and pod["status"].get("podIP")
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if port.get("name") == "metrics"
    ]


@contextmanager
def start_prometheus(folder: Path, *, namespace: str) -> Iterator[Prometheus]:
    """Runs Prometheus for the block.

    Args:
        folder: Its configuration and its data.
        namespace: Whose pods are scraped.
    """
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian package `prometheus`)")
    targets = folder / "targets.json"
    scrape = {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)]}]}
    content = {"global": {"scrape_interval": "2s"}, "scrape_configs": [scrape]}
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        _wait_until_ready(server, process=process, log=folder / "log")
        with Discovery(targets, namespace=namespace):
            yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(
    server: Prometheus, *, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + 30
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
