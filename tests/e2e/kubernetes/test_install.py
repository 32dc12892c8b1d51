"""The text example on a cluster: it trains, it is watched, its result is the image's own.

A run whose pod is lost ends in the same bits: nothing is counted, nothing is trained twice.
"""

import json
import re

import pytest

from job.errors import ExitCode
from tests.e2e.kubernetes.conftest import FinishedRun
from tests.e2e.kubernetes.image import needs_docker, run_image, unpack_mounted
from tests.e2e.kubernetes.watching import WatchedPod

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow]


def test_the_text_example_completes_and_leaves_its_summary_in_the_bucket(undisturbed):
    summary = undisturbed.summary
    assert (summary["outcome"], summary["exit_code"], summary["attempts"]) == ("finished", 0, 1)
    assert summary["epochs"] == 2
    assert summary["metrics"]["test"]["roc_auc"] > 0.9
    assert (
        summary["metrics"]["test"]["roc_auc"] > summary["metrics"]["test"]["baseline_roc_auc"]
    )


@pytest.mark.parametrize(
    "line",
    [
        r"INFO +siamese-job starts .* config=/etc/siamese/config.yaml run=typos-\w{8} ",
        r"INFO +in a pod pod=typos-\w{8}-0-\w+ failures_before=0 preemptions_before=0",
        r"WARNING +bucket emulator in use",
        r"INFO +data loaded items=\d+",
        r"INFO +model built .*devices=.*CPU:0.*CPU:1",
        r"INFO +training step=\d+/\d+ epoch=1/2 loss=\S+ .*eta=",
        r"INFO +epoch finished .*val_roc_auc=0\.\d+",
        r"INFO +run finished outcome=finished .*folder=gs://runs/e2e/typos-\w{8}",
    ],
)
def test_its_log_reads_like_the_local_one(undisturbed: FinishedRun, line):
    assert re.search(line, undisturbed.log), undisturbed.log


def test_its_log_has_no_carriage_return_and_no_colour(undisturbed):
    assert not re.search("[\r\x1b]", undisturbed.log)


def test_a_pod_says_how_it_ended_without_its_log(cluster, undisturbed):
    state = cluster.pods(undisturbed.job)[-1]["status"]["containerStatuses"][0]["state"]
    words = json.loads(state["terminated"]["message"])
    assert words["state_sha256"] == undisturbed.summary["state_sha256"]
    assert words["message"].endswith(f"gs://runs/e2e/{undisturbed.name}/summary.json")


@needs_docker
def test_the_image_alone_ends_in_the_same_bits(cluster, undisturbed, bucket, tmp_path):
    """What the chart mounted, in a container without Kubernetes."""
    unpack_mounted(cluster, undisturbed.job, into=tmp_path)
    run_image(cluster.image, "train", bucket=bucket, folder=tmp_path)
    summary = json.loads(bucket.read(f"docker/{undisturbed.name}/summary.json"))
    assert summary["state_sha256"] == undisturbed.summary["state_sha256"]
    assert summary["metrics"] == undisturbed.summary["metrics"]


@pytest.mark.parametrize(
    "expr",
    [
        'siamese_loss{split="train"}',
        'siamese_loss{split="validation"}',
        "siamese_global_step == on (run) siamese_target_steps",
        'siamese_run_phase{phase="succeeded"} == 1',
        "siamese_checkpoint_last_step == on (run) siamese_global_step",
        'siamese_quality_ratio{split="test",metric="roc_auc"} > 0.9',
    ],
)
def test_prometheus_holds_the_last_values_of_the_run(prometheus, undisturbed, expr):
    run = f'run="{undisturbed.name}"'
    name = re.match(r"\w+", expr)[0]
    held = prometheus.vector(f"last_over_time({name}{{{run}}}[1h])")
    assert held, f"{name}: nothing held"
    # The pod has ended, so an instant query finds nothing: look back to its last scrape.
    looking_back = re.sub(
        r"(siamese_\w+)(?:\{([^}]*)\})?", rf"last_over_time(\1{{{run},\2}}[1h])", expr
    )
    assert prometheus.vector(looking_back), f"{expr} is not so: {held}"


def test_a_deleted_pod_costs_nothing_and_changes_nothing(cluster, bucket, example, undisturbed):
    job = cluster.installed("evicted", example)
    step = int(cluster.wait_for_line(job, r"training step=(\d\d+)/")[1])
    pod = cluster.pods(job)[-1]["metadata"]["name"]
    with WatchedPod(cluster, pod) as watch:
        cluster.kubectl("delete", "pod", pod, "--wait=true")
    assert watch.ended().code == ExitCode.PREEMPTED
    resumed = int(cluster.wait_for_line(job, r"resumed attempt=2 step=(\d+)")[1])
    assert resumed >= step > 0
    assert "in a pod" in cluster.logs(job)
    assert "failures_before=0 preemptions_before=1" in cluster.logs(job)
    cluster.completed(job)
    assert cluster.get("job", job)["status"].get("failed", 0) == 0
    name = cluster.wait_for_line(job, r"run=(\S+)")[1]
    summary = json.loads(bucket.read(f"e2e/{name}/summary.json"))
    assert summary["attempts"] == 2
    assert summary["state_sha256"] == undisturbed.summary["state_sha256"]
    assert summary["metrics"] == undisturbed.summary["metrics"]
