"""Two pods train one model, and one is lost, in each way in which Kubernetes loses pods.

Every such run completes in the bits of one that nobody disturbed. The codes and counts are
those of the table in docs/kubernetes.md.
"""

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from job.errors import ExitCode
from tests.e2e.kubernetes import values
from tests.e2e.kubernetes.bucket import Bucket
from tests.e2e.kubernetes.cluster import Cluster, run
from tests.e2e.kubernetes.node import send_to_training_process
from tests.e2e.kubernetes.watching import WatchedPod

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow, pytest.mark.prove]

# Exit code that the kernel gives a process ended by SIGKILL.
KILLED = 137
CHIEF, FOLLOWER = 0, 1
BOTH = pytest.mark.parametrize("victim", [CHIEF, FOLLOWER], ids=["chief", "follower"])


@dataclass(frozen=True)
class Pair:
    """A Job of two workers that trains.

    Attributes:
        cluster: Where.
        bucket: Where its run is.
        job: Its name.
        pods: The first pod of each worker.
        undisturbed: Summary of a run that nobody disturbed.
    """

    cluster: Cluster
    bucket: Bucket
    job: str
    pods: tuple[str, str]
    undisturbed: dict[str, Any]

    def failures(self, worker: int) -> list[int]:
        """The exit codes of its pods that have failed."""
        return [end.code for end in self.cluster.ends(self.job, worker=worker) if end.code]

    def wait_for_line(self, pattern: str, *, worker: int) -> None:
        """Waits for a line of the worker's newest pod."""
        self.cluster.wait_for_line(self.job, pattern, worker=worker)

    def check_completed(self, *, num_failures: int = 0, attempts: int = 2) -> None:
        """It completes like the other one, after so many failures that count."""
        cluster = self.cluster
        cluster.completed(self.job, seconds=300)
        assert cluster.get("job", self.job)["status"].get("failed", 0) == num_failures
        name = cluster.wait_for_line(self.job, r" run=(\S+)", worker=CHIEF)[1]
        summary = json.loads(self.bucket.read(f"e2e/{name}/summary.json"))
        assert summary["attempts"] == attempts
        assert summary["state_sha256"] == self.undisturbed["state_sha256"]
        assert summary["metrics"] == self.undisturbed["metrics"]


@pytest.fixture(scope="module")
def undisturbed_pair(cluster, bucket, tmp_path_factory):
    """Summary of such a run on two replicas of one pod."""
    paced = values.planted(
        tmp_path_factory.mktemp("undisturbed"), "Pace",
        image=cluster.image, host_of_bucket=bucket.address, seconds=0.0,
    )  # fmt: skip
    paced["config"]["distribution"] = {"devices": "cpu:2"}
    job = cluster.installed("two-replicas", paced)
    cluster.completed(job)
    name = cluster.wait_for_line(job, r" run=(\S+)")[1]
    return json.loads(bucket.read(f"e2e/{name}/summary.json"))


@pytest.fixture
def paced(planted):
    return values.in_two_pods(planted("Pace", seconds=0.4))


@pytest.fixture
def start(cluster, bucket, undisturbed_pair) -> Callable[..., Pair]:
    """Installs a release with the values and waits until it trains."""

    def start(release: str, paced: dict[str, Any]) -> Pair:
        job = cluster.installed(release, paced)
        cluster.wait_for_line(job, r"training step=(\d\d)/", worker=CHIEF)
        pods = [cluster.pods(job, worker=worker)[-1] for worker in (CHIEF, FOLLOWER)]
        chief, follower = (pod["metadata"]["name"] for pod in pods)
        return Pair(cluster, bucket, job, (chief, follower), undisturbed_pair)

    return start


@BOTH
def test_a_deleted_pod_stops_both_at_one_step_and_costs_nothing(cluster, paced, start, victim):
    pair = start(f"deleted-{victim}", paced)
    with WatchedPod(cluster, pair.pods[victim]) as watch:
        cluster.kubectl("delete", "pod", pair.pods[victim], "--wait=true")
    assert watch.ended().code == ExitCode.PREEMPTED
    pair.check_completed()
    assert pair.failures(1 - victim) == [ExitCode.PREEMPTED]
    cluster.uninstall(f"deleted-{victim}")


def test_a_drained_node_costs_nothing(cluster, paced, start):
    pair = start("drained-pair", paced)
    with (
        WatchedPod(cluster, pair.pods[CHIEF]) as chief,
        WatchedPod(cluster, pair.pods[FOLLOWER]) as follower,
    ):
        cluster.drain(pair.job)
    assert [chief.ended().code, follower.ended().code] == [ExitCode.PREEMPTED] * 2
    pair.check_completed()
    cluster.uninstall("drained-pair")


@BOTH
def test_a_killed_process_costs_a_retry_and_the_other_pod_stays(cluster, paced, start, victim):
    pair = start(f"killed-{victim}", paced)
    send_to_training_process(pair.pods[victim], signal.SIGKILL)
    pair.wait_for_line(r"training process is started again exit_code=76 ", worker=1 - victim)
    pair.check_completed(num_failures=1)
    assert pair.failures(victim) == [KILLED]
    assert "was ended by SIGKILL" in cluster.ends(pair.job, worker=victim)[0].message
    check_same_pod(pair, 1 - victim)
    cluster.uninstall(f"killed-{victim}")


# Run inside the pod. The kernel kills the process that is largest, or offered to it as this one
# offers the training process, and takes all memory in small processes.
EATER = """
import os
import pathlib
import time
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if b"SUPERVISED_FD=" in (folder / "environ").read_bytes():
        (folder / "oom_score_adj").write_text("1000")
while True:
    if os.fork() == 0:
        eaten = b"1" * (128 << 20)
        time.sleep(600)
    time.sleep(0.1)
"""


def test_a_process_that_runs_out_of_memory_costs_a_retry(cluster, paced, start):
    pair = start("hungry", paced)
    pod = pair.pods[FOLLOWER]
    run("kubectl", "-n", cluster.namespace, "exec", pod, "--", "python", "-c", EATER)
    pair.wait_for_line(r"training process is started again exit_code=76 ", worker=CHIEF)
    pair.check_completed(num_failures=1)
    assert pair.failures(FOLLOWER) == [KILLED]
    assert cluster.ends(pair.job, worker=FOLLOWER)[0].terminated["reason"] == "OOMKilled"
    check_same_pod(pair, CHIEF)
    cluster.uninstall("hungry")


@BOTH
def test_a_frozen_process_is_started_again_in_its_pod(cluster, paced, start, victim):
    pair = start(f"frozen-{victim}", paced)
    send_to_training_process(pair.pods[victim], signal.SIGSTOP)
    pair.wait_for_line(r"no sign of life", worker=1 - victim)
    pair.wait_for_line(r"training process is started again exit_code=76 ", worker=1 - victim)
    pair.wait_for_line(r"training process is started again exit_code=77 ", worker=victim)
    pair.check_completed()
    for worker in (CHIEF, FOLLOWER):
        check_same_pod(pair, worker)
    cluster.uninstall(f"frozen-{victim}")


def check_same_pod(pair, worker):
    """The worker's first pod is its last; that of a follower may be gone once all is done."""
    assert pair.failures(worker) == []
    names = {pod["metadata"]["name"] for pod in pair.cluster.pods(pair.job, worker=worker)}
    assert names <= {pair.pods[worker]}


def test_a_run_goes_on_with_one_pod_when_it_is_scaled_down(cluster, paced, start):
    pair = start("scaled", paced)
    paced["workers"]["count"] = 1
    # As many replicas as before, so that the bits are the same, too.
    paced["config"]["distribution"]["devices"] = "cpu:2"
    job = cluster.installed("scaled", paced, upgrade=True)
    assert job != pair.job
    step = int(cluster.wait_for_line(job, r"resumed attempt=2 step=(\d+)")[1])
    assert step > 0
    cluster.wait(lambda: cluster.job_names("scaled") == [job], "the old Job gone")
    Pair(cluster, pair.bucket, job, ("", ""), pair.undisturbed).check_completed()
    cluster.uninstall("scaled")


# A follower alone; a thousand of them must not be what fills a Prometheus.
MAX_SERIES_OF_A_FOLLOWER = 180


def test_prometheus_scrapes_both_pods_through_a_restart(cluster, prometheus, paced, start):
    paced["config"]["metrics"]["linger_seconds"] = 10
    pair = start("scraped", paced)
    for pod in pair.pods:
        cluster.wait(lambda pod=pod: prometheus.vector(f'up{{pod="{pod}"}} == 1'), f"up: {pod}")
    began = time.time()
    send_to_training_process(pair.pods[FOLLOWER], signal.SIGSTOP)
    pair.wait_for_line(r"resumed attempt=2 ", worker=CHIEF)
    restarted = time.time()
    pair.check_completed()
    name = cluster.wait_for_line(pair.job, r" run=(\S+)", worker=CHIEF)[1]

    def seen(expr: str, *, until: float = restarted) -> list[float]:
        """What a panel shows; a point every two seconds, as often as Prometheus scrapes."""
        found = prometheus.api("query_range", query=expr, start=began, end=until, step=2)
        assert len(found["result"]) == 1, found
        values = [float(value) for _, value in found["result"][0]["values"]]
        assert len(values) == int((until - began) / 2) + 1, f"{expr} has a gap"
        return values

    for pod in pair.pods:
        assert set(seen(f'up{{pod="{pod}"}}')) == {1.0}
    seen(f'sum by (run) (rate(siamese_train_examples_total{{run="{name}"}}[1m]))')
    seen(f'sum by (run) (increase(siamese_train_steps_total{{run="{name}"}}[1m]))')
    scraped = seen(f'scrape_samples_scraped{{pod="{pair.pods[FOLLOWER]}"}}')
    assert 0 < max(scraped) <= MAX_SERIES_OF_A_FOLLOWER
    cluster.uninstall("scraped")
