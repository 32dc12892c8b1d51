"""Holds processes of a pod, on a node that is this machine.

Kubernetes has no request that leaves a container running and does something to its process, as
a hung disk, a stuck container runtime or a lost node does::

    with out_of_reach(pod):  # the node cannot end the container
        with paused(pod):  # its process stands still
            ...
        ...  # and goes on
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest


def paused(pod: str, *, at_most_seconds: float = 300.0) -> AbstractContextManager[None]:
    """The processes of a pod stand still for the block, or for so long if that is less."""
    return _held(_found(pod), at_most_seconds=at_most_seconds)


def out_of_reach(pod: str) -> AbstractContextManager[None]:
    """The runtime neither ends nor reports the container of a pod for the block.

    What stands still is the parent of its first process, the runtime's shim: the requests of
    the kubelet reach the container through it alone.
    """
    processes = _found(pod)
    return _held([one for one in map(_parent, processes) if one not in processes])


def processes_of(pod: str) -> list[int]:
    """The processes that the chart told that they are this pod's; without those that ended."""
    mark = f"POD_NAME={pod}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def send_to_training_process(pod: str, number: signal.Signals) -> None:
    """Sends a signal to the process that trains, in a pod with a supervisor."""
    processes = _found(pod)
    _send(number, [one for one in processes if _parent(one) in processes])


def _found(pod: str) -> list[int]:
    processes = processes_of(pod)
    if not processes:
        pytest.skip(f"no process of pod {pod} is seen here: root on its node is needed")
    return processes


def _parent(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("\nPPid:")[2].split()[0])


@contextmanager
def _held(processes: list[int], *, at_most_seconds: float = 300.0) -> Iterator[None]:
    wakes_up = threading.Timer(at_most_seconds, _send, (signal.SIGCONT, processes))
    wakes_up.daemon = True
    wakes_up.start()
    try:
        _send(signal.SIGSTOP, processes)
        yield
    finally:
        wakes_up.cancel()
        _send(signal.SIGCONT, processes)


def _send(number: signal.Signals, processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
