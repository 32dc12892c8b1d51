"""The text example in two pods: it completes, and ends as two workers in one container do."""

import json
import re

import pytest

from tests.e2e.kubernetes import values
from tests.e2e.kubernetes.image import needs_docker, run_image, unpack_mounted
from tests.e2e.kubernetes.watching import FollowedLog

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def pair(cluster, bucket):
    """The text example, trained by two pods: name of the Job, log of its follower, summary."""
    example = values.text_example(
        image=cluster.image, host_of_bucket=bucket.address, epochs=2, steps_per_epoch=30
    )
    job = cluster.installed("pair", values.in_two_pods(example))
    cluster.wait_for_line(job, "one of several workers", worker=1)
    # The follower may be deleted with its log once the chief has finished.
    with FollowedLog(cluster, cluster.pods(job, worker=1)[-1]["metadata"]["name"]) as log:
        cluster.completed(job)
        follower = log.whole()
    name = cluster.wait_for_line(job, r" run=(\S+)", worker=0)[1]
    summary = json.loads(bucket.read(f"e2e/{name}/summary.json"))
    yield job, follower, summary
    cluster.uninstall("pair")


def test_the_text_example_completes_in_two_pods_without_a_failure(cluster, pair):
    job, _, summary = pair
    assert (summary["outcome"], summary["attempts"]) == ("finished", 1)
    assert cluster.get("job", job)["status"].get("failed", 0) == 0


def test_a_follower_says_what_it_is_and_who_leads(pair):
    job, follower, _ = pair
    this = rf"worker 1 \(follower, {job}-1\.workers-{job}\)"
    leads = rf"worker 0 \(chief, {job}-0\.workers-{job}\)"
    assert re.search(rf'one of several workers this="{this}" leads="{leads}"', follower)
    assert "the chief has finished the run" in follower


@needs_docker
def test_two_workers_in_one_container_end_in_the_same_bits(cluster, bucket, pair, tmp_path):
    job, _, summary = pair
    unpack_mounted(cluster, job, into=tmp_path)
    # Ports of this machine may be taken.
    command = ("launch", "--workers", "2", "--set", "metrics.port=0")
    run_image(cluster.image, *command, bucket=bucket, folder=tmp_path)
    other = json.loads(bucket.read(f"docker/{summary['run']}/summary.json"))
    assert other["state_sha256"] == summary["state_sha256"]
    assert other["metrics"] == summary["metrics"]
