"""Tells the Prometheus of a test which pods of a namespace to scrape.

Debian builds Prometheus without its Kubernetes discovery, so `Discovery` does that part: it
keeps a file of targets up to date, which Prometheus watches.
"""

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.e2e.kubernetes.cluster import run

EVERY_SECONDS = 2.0


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
        command = ("kubectl", "-n", self._namespace, "get", "pods", "-o", "json")
        while not self._stop.wait(EVERY_SECONDS):
            try:
                pods = run(*command, seconds=20)
            except subprocess.TimeoutExpired:
                continue  # a slow API server: the targets stay as they were
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
