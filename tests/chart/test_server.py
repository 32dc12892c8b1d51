"""A real API server, where one is offered to the tests, accepts what the chart renders."""

import os
import subprocess
import uuid

import pytest

from tests.chart.conftest import CHART, CI, ROOT
from tools.chart import helm

pytestmark = [pytest.mark.chart, pytest.mark.cluster]


def kubectl(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        ["kubectl", "--request-timeout=30s", *arguments],
        input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def namespace():
    # KUBECONFIG alone may name any cluster; with E2E_IMAGE somebody offers it to the tests.
    if not os.environ.get("KUBECONFIG") or not os.environ.get("E2E_IMAGE"):
        pytest.skip("no cluster to test on: `make e2e` starts one")
    name = f"chart-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        for mode in ("enforce", "warn"):
            label = f"pod-security.kubernetes.io/{mode}=restricted"
            kubectl("label", "namespace", name, label)
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


APPLY = ("apply", "--dry-run=server", "--validate=strict", "--output=name")


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_the_server_accepts_a_release_in_a_restricted_namespace(namespace, path):
    rendered = helm.render(CHART, path.read_text(), name="typos")
    given = "---\n".join(rendered.files.values())
    accepted = kubectl(*APPLY, "--namespace", namespace, "--filename=-", given=given)
    assert len(accepted.splitlines()) == len(rendered.objects)


@pytest.mark.parametrize(("folder", "more"), [("single", set()), ("multi-worker", {"service"})])
def test_the_server_accepts_the_plain_manifests(namespace, folder, more):
    path = str(ROOT / "k8s" / folder)
    accepted = kubectl(*APPLY, "--namespace", namespace, "--kustomize", path)
    kinds = {line.split("/")[0] for line in accepted.splitlines()}
    assert kinds == {"serviceaccount", "configmap", "job.batch"} | more
