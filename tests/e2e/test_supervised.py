"""The program under its supervisor: frozen in native code, launched and stopped."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from job.errors import ExitCode
from tests.e2e.test_processes import arguments, fetch, finish, summary, wait_for
from tests.tiny import save_config

# tests/run/supervisor/test_supervise.py freezes a process that does not train.
pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.prove]

# Freezes the first process that comes to step 12: every thread waits for Python's lock.
FREEZES = """
import ctypes, keras, pathlib, time
class Freezes(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        frozen = pathlib.Path({sign!r})
        if not frozen.exists():
            time.sleep(0.1)  # saves are committed
        if self.model.optimizer.iterations >= 12 and not frozen.exists():
            frozen.touch()
            while True:  # a signal ends the sleep
                ctypes.PyDLL(None).sleep(600)
"""


def watch(url, until):
    """Asks for a page until something happens; returns the slowest answer and what failed."""
    slowest, failed = 0.0, []
    while not until.is_set():
        for path in ("/livez", "/metrics"):
            asked = time.monotonic()
            status, _ = fetch(url + path)
            slowest = max(slowest, time.monotonic() - asked)
            if status != 200:
                failed.append((path, status))
        time.sleep(0.05)
    return slowest, failed


def test_a_launched_run_that_froze_is_killed_resumed_and_stopped_by_one_sigterm(project):
    sign = project / "frozen"
    (project / "freezes.py").write_text(FREEZES.format(sign=str(sign)))

    def change(config):
        config["training"].update(epochs=100_000)
        config.update(callbacks={"custom": [{"target": "freezes:Freezes"}]})

    save_config(project, change)
    sets = ("distribution.supervise=on", "distribution.frozen_seconds=3")
    _, *rest = arguments(project, *sets, "logging.every_seconds=0.1")
    words = [sys.executable, "-m", "job", "launch", "--workers", "1", *rest]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as process:
        url = wait_for(process, r"\[0\] .*metrics=(http://127\.0\.0\.1:\d+)/metrics")[1]
        restarted, answers = threading.Event(), []
        watcher = threading.Thread(target=lambda: answers.append(watch(url, restarted)))
        watcher.start()
        try:
            wait_for(process, r"training process is killed reason=\"no sign of life .*")
            again = wait_for(process, r"is started again exit_code=77 restarts_left=(\d)")
            assert again[1] == "2"
            assert fetch(f"{url}/startupz")[0] == 200
            wait_for(process, r"resumed .*step=\d+")
        finally:
            restarted.set()
            watcher.join()
        wait_for(process, r"\[0\] .* training step=\d\d+")
        process.send_signal(signal.SIGTERM)
        code, out, err = finish(process)
    assert code == ExitCode.PREEMPTED, err
    assert 'freezes.py", line 11 in on_train_batch_end' in err
    ((slowest, failed),) = answers
    assert (failed, slowest < 1.0) == ([], True), slowest
    assert "[0] siamese-job: Stopped by SIGTERM" in err
    assert "run ended exit_code=75 cause=preempted" in out
    assert (summary(project)["attempts"], summary(project)["exit_code"]) == (2, 75)
