"""The few things that tests ask of Docker, by its command line."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DOCKER = os.environ.get("DOCKER", "docker")


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs `docker ARGUMENTS`; a failure shows what it wrote."""
    done = subprocess.run(
        [DOCKER, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def daemon_answers() -> bool:
    return bool(shutil.which(DOCKER)) and docker("version", check=False).returncode == 0


def config_of(image: str) -> dict[str, Any]:
    return json.loads(docker("image", "inspect", image).stdout)[0]["Config"]


def shell(image: str, script: str, *, user: str = "10001:10001") -> str:
    """What a shell script prints inside the image."""
    run = ["run", "--rm", "--user", user, "--entrypoint", "sh", image, "-c", script]
    return docker(*run).stdout


class Container:
    """A started container."""

    def __init__(self, name: str):
        self.name = name

    def logs(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        return json.loads(docker("inspect", self.name).stdout)[0]["State"]

    def wait_for(self, pattern: str, *, seconds: float = 90, times: int = 1) -> list[str]:
        """The matches of a pattern in the log, once there are `times`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.findall(pattern, self.logs())
            if len(found) >= times:
                return found
            assert self.state()["Running"], f"ended before {pattern!r}:\n{self.logs()}"
            time.sleep(0.3)
        raise AssertionError(f"{pattern!r} never came:\n{self.logs()}")

    def wait(self) -> int:
        return int(docker("wait", self.name).stdout)

    def wait_for_handler(self, *, seconds: float = 90) -> None:
        """Waits until process 1 handles SIGTERM, which the kernel drops before."""
        deadline = time.monotonic() + seconds
        while not _handles_sigterm(docker("exec", self.name, "cat", "/proc/1/status").stdout):
            assert time.monotonic() < deadline, f"no handler after {seconds:g} s"
            time.sleep(0.05)

    def stop(self) -> int:
        """SIGTERM, SIGKILL 120 s later; the exit code, 137 after the latter."""
        docker("stop", "--time", "120", self.name)
        return self.state()["ExitCode"]

    def start(self) -> None:
        docker("start", self.name)

    def changed(self) -> str:
        """What was written to the container's own layer; volumes are not part of it."""
        return docker("diff", self.name).stdout

    def read(self, path: str) -> bytes:
        """A tar archive with the file."""
        done = subprocess.run(
            [DOCKER, "cp", f"{self.name}:{path}", "-"], capture_output=True, check=True
        )
        return done.stdout


def _handles_sigterm(status: str) -> bool:
    """Whether `/proc/PID/status` says so: bit N - 1 of the mask stands for signal N."""
    caught = int(re.search(r"(?m)^SigCgt:\s*([0-9a-f]+)$", status)[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@contextmanager
def named() -> Iterator[str]:
    """A name for one container, which is gone afterwards however its client ended."""
    name = f"siamese-{secrets.token_hex(4)}"
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


@contextmanager
def container(image: str, *command: str, options: tuple[str, ...] = ()) -> Iterator[Container]:
    """Starts `siamese-job COMMAND` in a container that is gone afterwards, volumes included."""
    name = docker("create", *options, image, *command).stdout.strip()
    try:
        started = Container(name)
        started.start()
        yield started
    finally:
        docker("rm", "--force", "--volumes", name)
