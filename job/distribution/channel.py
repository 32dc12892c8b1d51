"""A connection to another worker: messages, and a sign of life every second.

Threads read and send signs of life, so a worker is heard while its main thread computes. A
worker that was silent for `silence_seconds`, or whose connection ended without a farewell, is
lost; it does not come back on the same connection.
"""

import queue
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from job.distribution.messages import MalformedMessageError, Message, read_message
from job.types import Json

BEAT_SECONDS = 1.0
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 2.0
# A thread that wakes up so late was paused, as with the whole machine.
_PAUSE_SECONDS = 1.0
_BEAT, LEAVE = "beat", "leave"


class ClosedError(Exception):
    """The other end has closed the connection, or was silent for too long."""


class Channel:
    """Messages to and from one worker.

    Args:
        connection: A connected socket; the channel closes it.
        status: What a sign of life says of this process.
        on_lost: Called once, from a thread, with the reason when the worker is lost.
        on_leave: Called once, from a thread, when the worker says that it leaves.
        silence_seconds: Longest time without a sign of life.
        now: Monotonic clock in seconds.

    Attributes:
        peer_status: What the newest sign of life of the worker said.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        status: Callable[[], Mapping[str, Json]],
        on_lost: Callable[[str], object],
        on_leave: Callable[[Message], object],
        on_status: Callable[[Mapping[str, Any]], object] = lambda _: None,
        silence_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.peer_status: Mapping[str, Any] = {}
        self._connection = connection
        self._status = status
        self._on_lost = on_lost
        self._on_leave = on_leave
        self._on_status = on_status
        self._silence_seconds = silence_seconds
        self._now = now
        self._heard_at = now()
        self._sending = threading.Lock()
        self._received: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._has_left = False
        connection.settimeout(None)
        # A small message must not wait for an acknowledgement of the one before.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reading = threading.Thread(target=self._read, name="worker-read", daemon=True)
        self._reading.start()
        threading.Thread(target=self._beat, name="worker-beat", daemon=True).start()

    def send(self, message: Message) -> None:
        """Sends a message; returns when the system has taken it.

        Raises:
            ClosedError: The connection has ended.
        """
        frame = message.encode()
        try:
            with self._sending:
                self._connection.sendall(frame)
        except OSError as error:
            raise ClosedError(str(error)) from error

    def receive(self, *, tick: Callable[[], object]) -> Message:
        """The next message; waits for it as long as the worker lives.

        Args:
            tick: Called while waiting; may raise.

        Raises:
            ClosedError: The worker has left or is lost, and everything it sent was received.
        """
        while True:
            tick()
            # Asked before: what the worker sent, its farewell too, is in the queue by then.
            is_closed = self._closed.is_set()
            try:
                return self._received.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if is_closed:
                    raise ClosedError("the connection has ended") from None

    def close(self) -> None:
        """Ends the connection; nobody is lost by it."""
        self._closed.set()
        with suppress(OSError):
            # What was sent still arrives; the reading thread closes the socket.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reading.join(_CLOSE_SECONDS)

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_SECONDS):
            try:
                self.send(Message(_BEAT, self._status()))
            except ClosedError:  # the reading thread says why
                return

    def _read(self) -> None:
        try:
            while True:
                self._take(read_message(self._exactly))
        except (ClosedError, MalformedMessageError, OSError) as error:
            is_ours = self._closed.is_set()
            self._closed.set()
            if not (is_ours or self._has_left):
                self._on_lost(str(error))
        finally:
            self._connection.close()

    def _take(self, message: Message) -> None:
        if message.kind == _BEAT:
            self.peer_status = message.facts
            self._on_status(message.facts)
            return
        self._received.put(message)
        if message.kind == LEAVE:
            self._has_left = True
            self._on_leave(message)

    def _exactly(self, size: int) -> bytes:
        parts, left = [], size
        while left:
            part = b""
            looked_at = self._now()
            readable, _, _ = select.select([self._connection], [], [], BEAT_SECONDS)
            if self._now() - looked_at > BEAT_SECONDS + _PAUSE_SECONDS:
                self._heard_at = self._now()  # this process was paused, and heard nobody
            if not readable:
                # Only now: what arrived while this process was paused is read first.
                silent = self._now() - self._heard_at
                if silent > self._silence_seconds:
                    raise ClosedError(f"no sign of life for {silent:.0f} s")
                continue
            with suppress(ConnectionResetError):
                part = self._connection.recv(min(left, 1 << 20))
            if not part:
                raise ClosedError("its connection ended")
            self._heard_at = self._now()
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
