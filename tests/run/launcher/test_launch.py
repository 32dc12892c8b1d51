"""Real launches of stand-ins that talk, end and are signalled."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from job.cli import main
from job.commands.launch import _metrics_port
from job.errors import ConfigError, ExitCode
from job.run.launcher.launch import Command, launch
from job.run.launcher.loopback import free_port_pairs

ROOT = Path(__file__).parents[3]


def start(folder, *behaviours, logs="text"):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.run.launcher.driver", str(folder), logs, *behaviours],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def wait_for(folder, *names):
    deadline = time.monotonic() + 30
    while not all((folder / name).exists() for name in names):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("logs", ["text", "json"])
def test_the_lines_of_all_workers_are_merged_whole(tmp_path, logs):
    code, out, err = finish(start(tmp_path, "say:300", "say:300", logs=logs))
    assert code == ExitCode.FINISHED, err
    lines = out.splitlines()
    for worker in "01":
        own = [line[4:] for line in lines if line.startswith(f"[{worker}] ")]
        plain = [f"plain {number}" for number in range(300)]
        assert [line for line in own if line.startswith("plain")] == plain
        assert own[-1] == "no newline"
        errors = [line for line in err.splitlines() if line.startswith(f"[{worker}] error")]
        assert len(errors) == 300
    objects = [line for line in lines if line.endswith("}")]
    pattern = r'\{"n": \d+\}' if logs == "json" else r'\[[01]\] \{"n": \d+\}'
    assert len(objects) == 600
    assert all(re.fullmatch(pattern, line) for line in objects)


@pytest.mark.slow
def test_each_worker_learns_all_addresses(tmp_path):
    assert finish(start(tmp_path, "end:0", "end:0", "end:0"))[0] == ExitCode.FINISHED
    (listed,) = {(tmp_path / f"{index}.addresses").read_text() for index in range(3)}
    ports = [int(address.removeprefix("127.0.0.1:")) for address in listed.split(",")]
    assert len({port + more for port in ports for more in (0, 1)}) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviours", "code", "stopped"),
    [
        (("end:0@0.3", "end:76"), 0, None),
        (("end:76@0.5", "end:3"), 3, None),
        (("run", "end:3"), 3, "0"),
        (("end:4", "run"), 4, "1"),
        (("stubborn", "end:2@0.8"), 2, None),
    ],
)
def test_workers_that_cannot_go_on_are_ended(tmp_path, behaviours, code, stopped):
    found, _, err = finish(start(tmp_path, *behaviours))
    assert found == code, err
    if stopped is not None:
        assert (tmp_path / f"{stopped}.stopped").read_text() == "75"
        assert "workers are stopped, as others have ended" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, ExitCode.PREEMPTED), (signal.SIGINT, ExitCode.INTERRUPTED)],
)
def test_a_signal_reaches_each_worker_once(tmp_path, number, code):
    process = start(tmp_path, "run", "run")
    wait_for(tmp_path, "0.runs", "1.runs")
    os.killpg(process.pid, number)  # as a terminal does; workers are in other groups
    found, _, err = finish(process)
    assert found == code, err  # a second signal would have ended them with 143 or at once
    for worker in "01":
        assert (tmp_path / f"{worker}.stopped").read_text() == str(int(code))


@pytest.mark.slow
def test_a_second_signal_is_passed_on(tmp_path):
    process = start(tmp_path, "stubborn", "stubborn")
    wait_for(tmp_path, "0.runs", "1.runs")
    process.terminate()
    time.sleep(0.4)
    assert process.poll() is None
    process.terminate()
    assert finish(process)[0] == ExitCode.TERMINATED


def test_workers_are_ended_when_a_later_one_cannot_start(monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    commands = [Command(["sleep", "60"], os.environ), Command(["/nowhere"], os.environ)]
    with pytest.raises(FileNotFoundError):
        launch(commands, json_logs=False, out=io.BytesIO(), err=io.BytesIO())
    try:
        assert [process.returncode for process in started] == [-signal.SIGKILL]
    finally:
        started[0].kill()
        started[0].wait()


def test_pairs_of_ports_are_free_and_apart():
    ports = free_port_pairs(20)
    assert len({port + more for port in ports for more in (0, 1)}) == 40


@pytest.mark.parametrize(
    ("configured", "worker", "port"),
    [(0, 0, None), (0, 3, None), (9090, 0, None), (9090, 1, 9091), (65534, 1, 65535)],
)
def test_workers_serve_the_ports_behind_the_chiefs(configured, worker, port):
    assert _metrics_port(configured, worker=worker) == port


def test_a_port_beyond_the_last_one_is_refused():
    with pytest.raises(ConfigError, match=r"metrics.port: 65535 leaves no port for worker 1"):
        _metrics_port(65535, worker=1)


@pytest.mark.parametrize("workers", ["0", "65", "-1"])
def test_a_senseless_number_of_workers_is_refused(workers, project, capsys):
    words = ["launch", f"--workers={workers}", str(project / "tiny.yaml")]
    assert main(words) == ExitCode.CONFIG
    assert f"--workers: {workers} is not allowed" in capsys.readouterr().err


def test_a_wrong_configuration_is_reported_once(project, capsys):
    words = ["launch", "--workers=2", str(project / "tiny.yaml"), "--set", "training.epochs=0"]
    assert main(words) == ExitCode.CONFIG
    assert capsys.readouterr().err.count("training.epochs") == 1
