"""The text example on a cluster: it trains, it is watched, its result is the image's own.

A run whose pod is lost ends in the same bits: nothing is counted, nothing is trained twice.
"""

import base64
import json
import re
import shutil
import subprocess

import pytest
import yaml

from job.errors import ExitCode
from tests.e2e.kubernetes.conftest import FinishedRun
from tests.e2e.kubernetes.watching import WatchedPod
from tests.image.docker import DOCKER, named

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


@pytest.mark.skipif(shutil.which(DOCKER) is None, reason=f"{DOCKER} is not installed")
def test_the_image_alone_ends_in_the_same_bits(cluster, undisturbed, bucket, tmp_path):
    """What the chart mounted, in a container without Kubernetes."""
    job = cluster.get("job", undisturbed.job)
    volumes = job["spec"]["template"]["spec"]["volumes"]
    sources = next(v["projected"]["sources"] for v in volumes if "projected" in v)
    for source in sources:
        _unpack(cluster, source["configMap"], folder=tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    config["metrics"]["linger_seconds"] = 0
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    command = ["--network", "host", "-e", f"STORAGE_EMULATOR_HOST=http://{bucket.address}"]
    # Docker may be configured to hand proxies to its containers.
    command += [word for name in ("no_proxy", "NO_PROXY") for word in ("-e", f"{name}=*")]
    command += ["-v", f"{tmp_path}:/etc/siamese:ro", cluster.image]
    command += ["train", "/etc/siamese/config.yaml", "--set", "run.root=gs://runs/docker"]
    with named() as name:
        result = subprocess.run(
            [DOCKER, "run", "--name", name, *command],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads(bucket.read(f"docker/{undisturbed.name}/summary.json"))
    assert summary["state_sha256"] == undisturbed.summary["state_sha256"]
    assert summary["metrics"] == undisturbed.summary["metrics"]


def _unpack(cluster, source, *, folder):
    """Writes what a ConfigMap mounts."""
    config_map = cluster.get("configmap", source["name"])
    content = {key: text.encode() for key, text in config_map.get("data", {}).items()}
    for key, text in config_map.get("binaryData", {}).items():
        content[key] = base64.b64decode(text)
    paths = {item["key"]: item["path"] for item in source.get("items", [])}
    for key, data in content.items():
        target = folder / paths.get(key, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


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
