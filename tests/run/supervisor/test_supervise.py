"""Real supervisors and real processes that stop, freeze, die and are signalled."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from job.config.distribution import DistributionConfig
from job.distribution.cluster import Cluster, cluster_of
from job.errors import ExitCode
from job.run.supervisor.supervise import is_to_supervise
from tests.tiny import save_config

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[3]
PATHS = ("/livez", "/readyz", "/startupz", "/metrics")


class Supervised:
    """A supervisor of the stand-in, and what can be seen of both from outside."""

    def __init__(self, folder, behaviour="run", *, env=None, **fields):
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.run.supervisor.driver"),
                *(str(folder), behaviour, json.dumps(fields)),
            ],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def noted(self, name):
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def wait_for(self, name, count=1):
        deadline = time.monotonic() + 30
        while len(self.noted(name)) < count:
            assert time.monotonic() < deadline, (name, self.finish())
            assert self.process.poll() is None, self.finish()
            time.sleep(0.02)
        return [int(pid) for pid in self.noted(name)]

    def finish(self):
        try:
            out, err = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        return self.process.returncode, out, err


@pytest.fixture
def supervised(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    save_config(tmp_path, lambda config: config.update(metrics={"port": port}))
    running = []

    def start(behaviour="run", **fields):
        one = Supervised(tmp_path, behaviour, **fields)
        one.port = port
        running.append(one)
        return one

    yield start
    for one in running:
        for pid in (one.process.pid, *map(int, one.noted("starts"))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        one.process.communicate()


def ask(port, path):
    """Status, body and seconds of one request."""
    asked = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), time.monotonic() - asked
    finally:
        connection.close()


def wait_until(port, path, words):
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            if words in ask(port, path)[1]:
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_answers_for_a_stopped_process_and_passes_one_sigterm_on(supervised):
    one = supervised()
    (pid,) = one.wait_for("starts")
    wait_until(one.port, "/readyz", "ready")
    wait_until(one.port, "/metrics", f"standin {float(pid)}")
    time.sleep(1.2)  # the last page is a second old at most
    os.kill(pid, signal.SIGSTOP)
    for known in PATHS * 2:
        status, body, seconds = ask(one.port, known)
        assert (status, seconds < 1.0) == (200, True), (known, body)
    assert f"standin {float(pid)}" in ask(one.port, "/metrics")[1]
    assert ask(one.port, "/elsewhere")[0] == 404
    os.kill(pid, signal.SIGCONT)
    one.process.terminate()
    assert one.finish()[0] == ExitCode.PREEMPTED
    assert one.noted("signals") == [str(int(signal.SIGTERM))]


def test_a_frozen_process_is_killed_with_its_stacks_and_started_again(supervised):
    one = supervised("freeze", frozen_seconds=1.0, restarts=1)
    (one.folder / "termination-log").touch()
    one.wait_for("frozen")
    slowest = 0.0
    while len(one.noted("frozen")) < 2:  # frozen, killed, started again
        for path in ("/livez", "/startupz", "/metrics"):
            status, body, seconds = ask(one.port, path)
            assert status == 200, (path, body)
            slowest = max(slowest, seconds)
    code, out, err = one.finish()
    assert slowest < 1.0
    assert code == ExitCode.STALLED
    assert len(one.noted("starts")) == 2
    assert err.count('standin.py", line') >= 2
    assert err.count("Thread 0x") >= 2
    assert "training process is started again exit_code=77 restarts_left=0" in out
    assert re.search(
        r'ERROR training process ended exit_code=77 cause="no sign of life for 1 s', out
    )
    message = json.loads((one.folder / "termination-log").read_text())
    assert (message["exit_code"], message["cause"]) == (77, "stalled")
    assert message["message"].startswith("no sign of life for 1 s")


def test_a_stopped_process_says_where_it_was_before_it_is_killed(supervised):
    one = supervised(frozen_seconds=1.0, restarts=0)
    (pid,) = one.wait_for("starts")
    wait_until(one.port, "/startupz", "started")
    os.kill(pid, signal.SIGSTOP)
    code, _, err = one.finish()
    assert code == ExitCode.STALLED
    assert 'standin.py", line' in err


@pytest.mark.parametrize(
    ("behaviour", "code", "starts"),
    [
        ("end:0", 0, 1),
        ("end:4", 4, 1),
        ("end:76", 76, 3),
        (f"kill:{signal.SIGKILL:d}", 137, 1),
    ],
)
def test_the_last_code_is_the_supervisors_own(supervised, behaviour, code, starts):
    one = supervised(behaviour, restarts=2)
    (one.folder / "termination-log").touch()
    assert one.finish()[0] == code
    assert len(one.noted("starts")) == starts
    message = (one.folder / "termination-log").read_text()
    if code == 137:
        facts = json.loads(message)
        assert facts["exit_code"] == 137
        assert "SIGKILL, as when memory runs out" in facts["message"]
    else:
        assert message == ""


def test_a_signal_before_the_handlers_are_up_is_not_lost(supervised):
    one = supervised()
    (one.folder / "slow").touch()
    one.wait_for("starts")
    one.process.terminate()
    assert one.finish()[0] == ExitCode.PREEMPTED
    assert one.noted("signals") == [str(int(signal.SIGTERM))]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("busy", ExitCode.TERMINATED), ("freeze", ExitCode.TERMINATED)],
)
def test_a_second_sigterm_ends_a_process_that_does_not_answer(supervised, behaviour, code):
    one = supervised(behaviour)
    wait_until(one.port, "/startupz", "started")
    if behaviour == "freeze":
        one.wait_for("frozen")
    one.process.terminate()
    time.sleep(0.3)
    assert one.process.poll() is None
    asked = time.monotonic()
    one.process.terminate()
    assert one.finish()[0] == code
    assert time.monotonic() - asked < 5
    assert len(one.noted("starts")) == 1


def test_a_process_that_does_not_end_within_the_grace_period_is_killed(supervised):
    one = supervised("busy", env={"JOB_UID": "3f6e", "POD_GRACE_SECONDS": "4"})
    wait_until(one.port, "/startupz", "started")
    asked = time.monotonic()
    one.process.terminate()
    code, out, _ = one.finish()
    assert code == ExitCode.TERMINATED
    assert time.monotonic() - asked < 4
    assert "the grace period of 4 s is nearly over" in out


def test_ctrl_c_in_a_terminal_arrives_once(supervised):
    one = supervised()
    wait_until(one.port, "/startupz", "started")
    (pid,) = one.wait_for("starts")
    assert os.getpgid(pid) == pid  # not in the terminal's foreground group, which gets it now
    os.killpg(one.process.pid, signal.SIGINT)
    assert one.finish()[0] == ExitCode.INTERRUPTED
    assert one.noted("signals") == [str(int(signal.SIGINT))]


def test_a_process_ends_with_its_supervisor(supervised):
    one = supervised()
    (pid,) = one.wait_for("starts")
    wait_until(one.port, "/startupz", "started")
    one.process.kill()
    one.process.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in state_of(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


def test_orphans_are_reaped_as_process_one_must(supervised):
    one = supervised("orphan")
    (pid,) = one.wait_for("starts")
    children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children")
    deadline = time.monotonic() + 10
    wait_until(one.port, "/startupz", "started")
    time.sleep(0.5)
    while children.read_text().split() != [str(pid)]:
        assert time.monotonic() < deadline, children.read_text()
        time.sleep(0.05)


def test_a_port_in_use_ends_the_supervisor_before_anything_starts(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["train", str(project / "tiny.yaml"), "--set", "distribution.supervise=on"]
        result = subprocess.run(
            [sys.executable, "-m", "job", *words, "--set", f"metrics.port={port}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert result.returncode == ExitCode.CONFIG
    assert f"metrics.port: {port} on metrics.host '127.0.0.1' is in use" in result.stderr
    assert result.stdout == ""
    assert not (project / "runs").exists()


TWO = {"WORKER_ADDRESSES": "a:2222,b:2222", "JOB_COMPLETION_INDEX": "1"}


@pytest.mark.parametrize(
    ("supervise", "env", "expected"),
    [
        ("auto", {}, False),
        ("auto", {"WORKER_ADDRESSES": "a:2222"}, False),
        ("auto", TWO, True),
        ("off", TWO, False),
        ("on", {}, True),
        ("on", {"SUPERVISED_FD": "5"}, False),
        ("auto", {**TWO, "SUPERVISED_FD": "5"}, False),
    ],
)
def test_several_workers_are_supervised_unless_told_otherwise(supervise, env, expected):
    section = DistributionConfig(supervise=supervise)
    assert is_to_supervise(section, cluster=cluster_of(env), env=env) is expected
    assert Cluster().num_workers == 1
