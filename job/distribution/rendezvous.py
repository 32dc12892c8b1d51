"""Brings the workers of a run together, before TensorFlow is loaded.

The chief listens; each follower connects and says what it is about to train. TensorFlow's own
start holds the interpreter's lock while a worker is missing: no signal, probe or log line would
be served. So everyone is here before it begins, and a mixture of configurations or versions, or
a port that TensorFlow could not listen at, is refused while it is still cheap.
"""

import logging
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from job.distribution.channel import LEAVE, Channel, ClosedError
from job.distribution.cluster import Cluster
from job.distribution.group import Group, shared_error
from job.distribution.messages import (
    GREETING_LIMIT_BYTES,
    MalformedMessageError,
    Message,
    read_message,
)
from job.errors import ConfigError, ExitCode, PeerLostError

log = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 10.0
_POLL_SECONDS = 0.2
_RETRY_SECONDS = 1.0
# For a stranger that connects and says nothing.
_GREETING_SECONDS = 5.0
_HELLO, _WELCOME = "hello", "welcome"
_PORT_PROBLEM = "port_problem"


@dataclass(frozen=True)
class Patience:
    """How long workers wait for each other.

    Attributes:
        arrival_seconds: For all to be there.
        silence_seconds: For a sign of life of a worker that is there.
        tick: Called while waiting; may raise to stop.
        waiting_for: Told what is waited for, for the probes.
        sleep: Waits between two tries to connect.
        now: Monotonic clock in seconds.
    """

    arrival_seconds: float
    silence_seconds: float
    tick: Callable[[], object] = lambda: None
    waiting_for: Callable[[str], object] = lambda _: None
    sleep: Callable[[float], object] = time.sleep
    now: Callable[[], float] = time.monotonic


def meet(group: Group, cluster: Cluster, hello: Mapping[str, Any], patience: Patience) -> None:
    """Connects this worker to the others.

    The group of a follower is dismissed instead if the chief has found the run finished.

    Args:
        group: Of this worker; its channels are added.
        cluster: The workers.
        hello: What must be the same on all workers, by name; JSON values.
        patience: How long to wait.

    Raises:
        ConfigError: The workers differ, or TensorFlow's port of one is taken; on every worker
            alike. The chief's port for its followers is taken; on the chief.
        PeerLostError: A worker did not come in time, or went again.
    """
    if cluster.is_chief:
        _Chief(cluster, hello, patience).meet(group)
    else:
        _follow(group, cluster, hello, patience)


def dismiss(cluster: Cluster, patience: Patience, *, code: ExitCode, message: str) -> None:
    """Tells the followers that come within `arrival_seconds` that the chief ends already.

    Args:
        cluster: The workers; this is the chief.
        patience: How long to wait.
        code: How the chief ends.
        message: Why.
    """
    _Chief(cluster, {}, patience).dismiss(_farewell(code, message))


def differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What two workers say differently, one line for each name, nested names with dots."""
    mine, theirs = _flat(own), _flat(other)
    absent = "nothing"
    return [
        f"{name}: {mine.get(name, absent)!r} and {theirs.get(name, absent)!r}"
        for name in sorted({*mine, *theirs})
        if mine.get(name, absent) != theirs.get(name, absent)
    ]


def port_problem(port: int) -> str:
    """Why TensorFlow could not listen at a port of this machine; empty if it could.

    Its server listens at every IPv6 and IPv4 address, or else at every IPv4 one. As it does,
    this passes over connections that have ended and shares no port (no SO_REUSEPORT).
    """
    problem = ""
    for family in (socket.AF_INET6, socket.AF_INET):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                probe.bind(("", port))
            return ""
        except OSError as error:
            problem = error.strerror or str(error)
    return problem


def _farewell(code: ExitCode, message: str) -> bytes:
    return Message(LEAVE, {"code": int(code), "message": message}).encode()


def _flat(nested: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, prefix=f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return flat


class _Waiting:
    """Says who is missing, now and then, and gives up in the end."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began = self._said = patience.now()

    def check(self, missing: str) -> None:
        patience, now = self._patience, self._patience.now()
        patience.tick()
        patience.waiting_for(missing)
        seconds = now - self._began
        if seconds > patience.arrival_seconds:
            raise PeerLostError(
                f"{missing} did not come within {patience.arrival_seconds:.0f} s "
                "(distribution.arrival_seconds). Look at its log, and whether its pod was "
                "scheduled."
            )
        if now - self._said >= _LOG_EVERY_SECONDS:
            self._said = now
            log.info("waiting for workers", extra={"missing": missing, "seconds": int(seconds)})


class _Chief:
    """Listens until every follower has said hello."""

    def __init__(self, cluster: Cluster, hello: Mapping[str, Any], patience: Patience) -> None:
        self._cluster = cluster
        self._hello = hello
        self._patience = patience
        self._arrived: dict[int, tuple[socket.socket, Message]] = {}

    def meet(self, group: Group) -> None:
        waiting = _Waiting(self._patience)
        with ExitStack() as unless_all_came:
            unless_all_came.callback(self._close)
            with self._listener() as listener:
                while missing := self._missing():
                    waiting.check(missing)
                    self._accept(listener)
            self._refuse_mixtures()
            self._refuse_taken_ports()
            unless_all_came.pop_all()
        for worker, (connection, _) in sorted(self._arrived.items()):
            try:
                connection.sendall(Message(_WELCOME).encode())
            except OSError as error:
                raise PeerLostError(f"{self._cluster.name(worker)} is lost: {error}") from error
            group.add(worker, _opener(connection, self._patience))

    def dismiss(self, farewell: bytes) -> None:
        patience = self._patience
        deadline = patience.now() + patience.arrival_seconds
        told: set[int] = set()
        with self._listener() as listener:
            while len(told) < self._cluster.num_workers - 1 and patience.now() < deadline:
                patience.tick()
                self._accept(listener)
                for worker, (connection, _) in self._arrived.items():
                    with suppress(OSError):
                        connection.sendall(farewell)
                    connection.close()
                    told.add(worker)
                self._arrived.clear()

    def _listener(self) -> socket.socket:
        port, both = self._cluster.addresses[0].port, socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            listener = socket.create_server(
                ("", port), family=family, backlog=128, dualstack_ipv6=both
            )
        except OSError as error:
            raise ConfigError(
                f"port {port}, on which followers are expected, cannot be used: "
                f"{error.strerror}. Give another one in WORKER_ADDRESSES."
            ) from error
        listener.settimeout(_POLL_SECONDS)
        return listener

    def _missing(self) -> str:
        """Names of the followers that are not here; also of those that went again."""
        for worker, (connection, _) in list(self._arrived.items()):
            if _has_ended(connection):
                connection.close()
                del self._arrived[worker]
        names = [
            self._cluster.name(worker)
            for worker in range(1, self._cluster.num_workers)
            if worker not in self._arrived
        ]
        return ", ".join(names)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        try:
            connection.settimeout(_GREETING_SECONDS)
            greeting = read_message(
                partial(_read, connection), limit_bytes=GREETING_LIMIT_BYTES
            )
            worker = int(greeting.facts["worker"])
            if greeting.kind != _HELLO or not 0 < worker < self._cluster.num_workers:
                raise MalformedMessageError(f"{greeting.kind!r} of worker {worker}")
        except (OSError, ClosedError, MalformedMessageError, ValueError, KeyError) as error:
            log.warning("a stranger connected", extra={"reason": str(error)})
            connection.close()
            return
        if worker in self._arrived:
            self._arrived[worker][0].close()
        self._arrived[worker] = connection, greeting

    def _refuse_mixtures(self) -> None:
        lines = [
            f"worker {worker}: {line}"
            for worker, (_, greeting) in sorted(self._arrived.items())
            for line in differences(self._hello, greeting.facts["same"])
        ]
        if not lines:
            return
        self._refuse(
            "the workers were started with different settings or versions (of the chief, and "
            "of the worker named):\n  " + "\n  ".join(lines) + "\nStart all of them alike."
        )

    def _refuse_taken_ports(self) -> None:
        problems = {0: port_problem(self._cluster.addresses[0].tensorflow_port)}
        for worker, (_, greeting) in self._arrived.items():
            problems[worker] = str(greeting.facts.get(_PORT_PROBLEM, ""))
        lines = [
            self._cluster.cannot_listen(worker, problem)
            for worker, problem in sorted(problems.items())
            if problem
        ]
        if lines:
            self._refuse("\n".join(lines))

    def _refuse(self, message: str) -> NoReturn:
        for connection, _ in self._arrived.values():
            with suppress(OSError):
                connection.sendall(_farewell(ExitCode.CONFIG, message))
        raise ConfigError(message)

    def _close(self) -> None:
        for connection, _ in self._arrived.values():
            connection.close()


def _follow(
    group: Group, cluster: Cluster, hello: Mapping[str, Any], patience: Patience
) -> None:
    chief, waiting = cluster.name(0), _Waiting(patience)
    while True:
        waiting.check(chief)
        connection = _connected(cluster)
        if connection is None:
            patience.sleep(_RETRY_SECONDS)
            continue
        try:
            connection.sendall(_greeting(cluster, hello))
            answer = _answer(connection, tick=lambda: waiting.check(f"{chief} and others"))
        except (OSError, ClosedError, MalformedMessageError):  # it ended; it will come back
            connection.close()
            patience.sleep(_RETRY_SECONDS)
            continue
        except BaseException:
            connection.close()
            raise
        if answer.kind == LEAVE:
            connection.close()
            if answer.facts["code"] == ExitCode.FINISHED:
                return
            raise shared_error(answer, who=chief)
        group.add(0, _opener(connection, patience))
        return


def _greeting(cluster: Cluster, hello: Mapping[str, Any]) -> bytes:
    problem = port_problem(cluster.addresses[cluster.worker].tensorflow_port)
    facts = {"worker": cluster.worker, "same": hello, _PORT_PROBLEM: problem}
    return Message(_HELLO, facts).encode()


def _connected(cluster: Cluster) -> socket.socket | None:
    address = cluster.addresses[0]
    try:
        # The name of a pod is known to DNS some time after the pod has started.
        connection = socket.create_connection((address.host, address.port), timeout=5.0)
    except OSError:
        return None
    if connection.getsockname() == connection.getpeername():
        # Where nobody listens, the kernel may connect a port of this machine to itself.
        connection.close()
        return None
    return connection


def _answer(connection: socket.socket, *, tick: Callable[[], object]) -> Message:
    while not select.select([connection], [], [], _POLL_SECONDS)[0]:
        tick()
    return read_message(partial(_read, connection))


def _opener(connection: socket.socket, patience: Patience) -> Callable[..., Channel]:
    return partial(Channel, connection, silence_seconds=patience.silence_seconds)


def _has_ended(connection: socket.socket) -> bool:
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _read(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(size)
        if not part:
            raise ClosedError("the connection has ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
