"""A namespace under the strictest pod security, a bucket beside the cluster, a finished run."""

import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.kubernetes import values
from tests.e2e.kubernetes.bucket import Bucket, serve_bucket
from tests.e2e.kubernetes.cluster import Cluster, run
from tests.e2e.kubernetes.prometheus import Prometheus, start_prometheus

LINGER_SECONDS = 10


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    image = os.environ.get("E2E_IMAGE")
    if "KUBECONFIG" not in os.environ or image is None:
        pytest.skip("no cluster: `make e2e` starts one")
    namespace = f"siamese-e2e-{secrets.token_hex(3)}"
    host = "{.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    address = run("kubectl", "get", "nodes", "-o", f"jsonpath={host}").stdout
    cluster = Cluster(namespace, address, image, tmp_path_factory.mktemp("values"))
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    yield cluster
    run("kubectl", "delete", "namespace", namespace, "--wait=false")


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


@pytest.fixture(scope="session")
def prometheus(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus beside the cluster that discovers the namespace's pods."""
    folder = tmp_path_factory.mktemp("prometheus")
    with start_prometheus(folder, namespace=cluster.namespace) as prometheus:
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
