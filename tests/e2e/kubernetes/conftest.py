"""A namespace under the strictest pod security, a bucket beside the cluster, a finished run."""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from job.storage.object_store import ObjectStore
from tests.e2e.kubernetes import values
from tests.e2e.kubernetes.bucket import Bucket, serve_bucket
from tests.e2e.kubernetes.cluster import Cluster, run
from tests.e2e.kubernetes.discovery import Discovery
from tests.e2e.kubernetes.leftovers import PREFIX, owner_labels
from tests.e2e.prometheus import Prometheus, start_prometheus

LINGER_SECONDS = 10


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    image = os.environ.get("E2E_IMAGE")
    if not os.environ.get("KUBECONFIG") or not image:
        pytest.skip("no cluster to test on: `make e2e` starts one")
    namespace = f"{PREFIX}{secrets.token_hex(3)}"
    host = os.environ.get("E2E_HOST") or _address_of_the_first_node()
    cluster = Cluster(namespace, host, image, tmp_path_factory.mktemp("values"))
    labels = {"pod-security.kubernetes.io/enforce": "restricted", **owner_labels()}
    cluster.kubectl("create", "namespace", namespace)
    try:
        pairs = [f"{name}={value}" for name, value in labels.items()]
        cluster.kubectl("label", "namespace", namespace, *pairs)
        yield cluster
    finally:
        run("kubectl", "delete", "namespace", namespace, "--wait=false")


def _address_of_the_first_node() -> str:
    path = "{.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    found = run("kubectl", "get", "nodes", "-o", f"jsonpath={path}")
    assert found.stdout, f"E2E_HOST is not set, and no node has an address.\n{found.stderr}"
    return found.stdout


@pytest.fixture(scope="session")
def bucket(cluster: Cluster) -> Iterator[Bucket]:
    """A bucket `runs` that pods reach."""
    with serve_bucket(cluster.host) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def example(cluster: Cluster, bucket: Bucket) -> dict[str, Any]:
    """Values that train the text example for two epochs."""
    return values.text_example(image=cluster.image, host_of_bucket=bucket.address, epochs=2)


@pytest.fixture
def tiny(cluster: Cluster, bucket: Bucket, tmp_path: Path) -> dict[str, Any]:
    """Values that train for a few seconds."""
    return values.tiny(tmp_path, image=cluster.image, host_of_bucket=bucket.address)


@pytest.fixture
def own_bucket(cluster: Cluster) -> Iterator[Bucket]:
    """A bucket `runs` that the pods of one test alone reach, so that it may fail."""
    with serve_bucket(cluster.host) as bucket:
        yield bucket


Planted = Callable[..., dict[str, Any]]


@pytest.fixture
def planted(cluster: Cluster, bucket: Bucket, tmp_path: Path) -> Planted:
    """Values of a run with a callback of `planted.py`: its name, and its arguments."""

    def planted(name: str, *, into: Bucket = bucket, **arguments: float) -> dict[str, Any]:
        return values.planted(
            tmp_path, name, image=cluster.image, host_of_bucket=into.address, **arguments
        )

    return planted


@pytest.fixture(scope="session")
def undisturbed_planted(
    cluster: Cluster, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectStore]:
    """The directory of such a run that nobody disturbed."""
    paced = values.planted(
        tmp_path_factory.mktemp("undisturbed"), "Pace",
        image=cluster.image, host_of_bucket=bucket.address, seconds=0.0,
    )  # fmt: skip
    job = cluster.installed("undisturbed", paced)
    cluster.completed(job)
    name = cluster.wait_for_line(job, r" run=(\S+)")[1]
    with bucket.open_run(f"e2e/{name}") as store:
        yield store


@pytest.fixture
def check_undisturbed(
    cluster: Cluster, undisturbed_planted: ObjectStore
) -> Callable[..., None]:
    """Says whether a Job that was disturbed completed in the bits of the other one."""

    def check_undisturbed(
        job: str, *, bucket: Bucket, attempts: int, num_failures: int = 0
    ) -> None:
        cluster.completed(job)
        assert cluster.get("job", job)["status"].get("failed", 0) == num_failures
        name = cluster.wait_for_line(job, r" run=(\S+)")[1]
        summary = json.loads(bucket.read(f"e2e/{name}/summary.json"))
        undisturbed = json.loads(undisturbed_planted.read("summary.json").data)
        assert summary["attempts"] == attempts
        assert summary["state_sha256"] == undisturbed["state_sha256"]

    return check_undisturbed


@pytest.fixture(scope="session")
def prometheus(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus beside the cluster that scrapes the namespace's pods as they come."""
    folder = tmp_path_factory.mktemp("prometheus")
    targets = folder / "targets.json"
    scrape = [{"job_name": "pods", "file_sd_configs": [{"files": [str(targets)]}]}]
    with (
        start_prometheus(folder, scrape=scrape, every="2s") as prometheus,
        Discovery(targets, namespace=cluster.namespace),
    ):
        yield prometheus


@dataclass(frozen=True)
class FinishedRun:
    """A run that nobody disturbed.

    Attributes:
        job: Name of its Job.
        name: Its run.name.
        log: What its pod wrote.
        summary: summary.json, from the bucket.
    """

    job: str
    name: str
    log: str
    summary: dict[str, Any]


@pytest.fixture(scope="session")
def undisturbed(
    cluster: Cluster, bucket: Bucket, example: dict[str, Any], prometheus: Prometheus
) -> FinishedRun:
    """The text example, trained once from start to end while Prometheus watches."""
    config = {**example["config"], "metrics": {"linger_seconds": LINGER_SECONDS}}
    job = cluster.installed("typos", {**example, "config": config})
    cluster.completed(job)
    log = cluster.logs(job)
    name = re.search(r"folder=gs://runs/e2e/([a-z0-9-]+)", log)[1]
    summary = json.loads(bucket.read(f"e2e/{name}/summary.json"))
    return FinishedRun(job, name, log, summary)
