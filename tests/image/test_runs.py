"""Training in the container: locked down, stopped, started again, scraped, at a terminal."""

import io
import json
import os
import pty
import select
import subprocess
import tarfile
import time
import urllib.request

import pytest

from job.errors import ExitCode
from tests.image.docker import DOCKER, container, docker, named

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.e2e]

TRAIN = ("train", "/examples/text.yaml", "--set", "logging.every_seconds=0.2")
LOCKED_DOWN = (
    "--read-only", "--user", "23456:23456", "--cap-drop", "ALL", "--network", "none",
    "--security-opt", "no-new-privileges", "--shm-size", "64m", "--memory", "2g",
)  # fmt: skip


def summary(run):
    archive = tarfile.open(fileobj=io.BytesIO(run.read("/scratch/runs/typos/summary.json")))
    return json.load(archive.extractfile("summary.json"))


def test_it_trains_with_nothing_but_its_volumes(image):
    command = (*TRAIN, "--set", "training.epochs=1")
    with container(image, *command, options=LOCKED_DOWN) as run:
        assert run.wait() == ExitCode.FINISHED, run.logs()
        assert run.changed() == ""
        assert summary(run)["outcome"] == "finished"
        assert summary(run)["metrics"]["test"]["roc_auc"] > 0.9


def test_without_a_read_only_root_it_writes_to_its_volumes_only_and_survives_a_stop(image):
    with container(image, *TRAIN) as run:
        (name,) = set(docker("exec", run.name, "cat", "/proc/1/comm").stdout.split())
        assert name == "siamese-job"
        run.wait_for(r"training step=\d\d+")
        assert run.stop() == ExitCode.PREEMPTED, run.logs()
        assert run.changed() == ""
        step = summary(run)["global_step"]
        assert step > 1
        run.start()
        assert [str(step)] == run.wait_for(r"resumed .*step=(\d+) epoch")
        run.wait_for(r"training step=\d\d+", times=3)
        assert run.stop() == ExitCode.PREEMPTED
        assert summary(run)["global_step"] > step


@pytest.mark.parametrize(
    "sign", [None, "siamese-job starts", "data loaded", "model built"], ids=str
)
def test_a_stop_during_the_start_is_obeyed(image, sign):
    # Where SIGTERM is lost, training ends by itself with 0, or by SIGKILL with 137.
    with container(image, *TRAIN) as run:
        if sign is None:
            run.wait_for_handler()
        else:
            run.wait_for(sign)
        assert run.stop() in (ExitCode.PREEMPTED, ExitCode.TERMINATED), run.logs()


def test_metrics_are_reached_from_outside(image):
    options = ("--publish", "127.0.0.1::9464")
    with container(image, *TRAIN, "--set", "metrics.port=9464", options=options) as run:
        run.wait_for("siamese-job starts")
        address = docker("port", run.name, "9464/tcp").stdout.strip()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{address}/livez", timeout=10) as answer:
            assert answer.status == 200


def read_until(terminal, sign, *, seconds=120):
    seen = b""
    deadline = time.monotonic() + seconds
    while sign not in seen:
        left = max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([terminal], [], [], left)
        assert readable, f"{sign!r} never came:\n{seen.decode(errors='replace')}"
        seen += os.read(terminal, 4096)
    return seen


def test_ctrl_c_at_a_terminal_stops_it(image):
    ours, theirs = pty.openpty()
    with named() as name:
        command = [DOCKER, "run", "--name", name, "-it", image, *TRAIN]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            read_until(ours, b"pairs/s=")
            os.write(ours, b"\x03")
            read_until(ours, b"Interrupted (Ctrl-C)")
            assert process.wait(timeout=60) == ExitCode.INTERRUPTED
        finally:
            process.kill()
            process.wait()
            os.close(ours)
