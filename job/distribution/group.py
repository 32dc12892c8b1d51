"""The workers that train together, as one of them sees the others.

The chief decides; followers do what it says, in order. So no two workers can decide
differently, and none runs a collective operation that the others do not run (docs/adr/0013)::

    group.tell(Message("steps", {"epoch": 0, "first": 0, "count": 16}))    # the chief
    message = group.receive()                                             # each follower

A worker that ends says so with its exit code; the others then end as well. One that ends
without a word, or was silent for too long, is lost: the state in memory may be torn, so nothing
is saved, and the next attempt resumes from the newest commit.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from job.distribution.channel import LEAVE, Channel, ClosedError
from job.distribution.messages import Message
from job.errors import (
    ConfigError,
    DataError,
    DivergedError,
    ExitCode,
    InterruptedByUserError,
    JobError,
    NoProgressError,
    PeerLostError,
    PermissionDeniedError,
    PreemptedError,
)

_IN_STEP = "in_step"
# Time for the main thread to notice that another worker has left: it may be inside a collective
# operation, which fails once the other process is gone.
_NOTICE_SECONDS = 30.0
# Ends that hold for all workers. After any other end of one worker, the others have lost it.
_SHARED: Mapping[int, type[JobError]] = {
    error.exit_code: error
    for error in (
        ConfigError,
        DataError,
        DivergedError,
        NoProgressError,
        PermissionDeniedError,
        PreemptedError,
        InterruptedByUserError,
    )
}


def shared_error(leave: Message, *, who: str) -> JobError:
    """How this worker ends when another one said that it ends.

    Args:
        leave: Its message.
        who: Its name.
    """
    code, reason = int(leave.facts["code"]), str(leave.facts["message"])
    error = _SHARED.get(code, PeerLostError)
    return error(f"{who} ended with exit code {code}: {reason}")


class Group:
    """All workers of a run; of one process, too.

    Args:
        worker: Index of this worker; 0 is the chief.
        names: What logs call each worker, in order.
        connect: Opens the channel to each other worker that this one talks to, by its index:
            a follower talks to the chief only.
        end: Ends the process at once, with a code and the reason.
        tick: Called while waiting for a message; may raise to stop.
        on_stop: Called, from a thread, with the number of a signal that another worker got.
        signal: Number of the signal that this process got; 0 for none.
    """

    def __init__(
        self,
        worker: int = 0,
        names: Sequence[str] = ("this process",),
        *,
        end: Callable[[ExitCode, str], object] = lambda *_: None,
        tick: Callable[[], object] = lambda: None,
        on_stop: Callable[[int], object] = lambda _: None,
        signal: Callable[[], int] = lambda: 0,
    ) -> None:
        self.worker = worker
        self._names = names
        self._end = end
        self._tick = tick
        self._on_stop = on_stop
        self._signal = signal
        self._channels: dict[int, Channel] = {}
        self._status: dict[str, Any] = {}
        self._left: Message | None = None
        self._left_by = ""
        self._is_closing = False
        self._timer: threading.Timer | None = None

    def add(self, worker: int, open_channel: Callable[..., Channel]) -> None:
        """Connects another worker.

        Args:
            worker: Its index.
            open_channel: Makes the channel with the callbacks that it is given.
        """
        name = self._names[worker]
        self._channels[worker] = open_channel(
            status=lambda: {**self._status, "signal": self._signal()},
            on_lost=lambda reason: self._lose(name, reason),
            on_leave=lambda message: self._note_leave(name, message),
            on_status=self._note_status,
        )

    @property
    def is_chief(self) -> bool:
        """Whether this worker decides."""
        return self.worker == 0

    @property
    def num_workers(self) -> int:
        """Number of processes that train together."""
        return len(self._names)

    @property
    def is_dismissed(self) -> bool:
        """Whether there is nothing to do with the others: the run is finished."""
        return self.num_workers > 1 and not self._channels

    @property
    def left(self) -> JobError | None:
        """The error to end with if another worker has said that it ends."""
        return shared_error(self._left, who=self._left_by) if self._left else None

    @property
    def waits_for_others(self) -> bool:
        """Whether this worker is in a step and the newest sign of life of another says no."""
        others = self._channels.values()
        return bool(self._status.get(_IN_STEP)) and any(
            not other.peer_status.get(_IN_STEP) for other in others
        )

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Within the block, this worker is where all workers meet."""
        self._status = {_IN_STEP: True}
        try:
            yield
        finally:
            self._status = {}

    def wait_with(self, tick: Callable[[], object]) -> None:
        """Calls `tick` while waiting for a message, from now on."""
        self._tick = tick

    def lost(self, reason: str) -> JobError:
        """The error of a worker whose collective operation failed."""
        return self.left or PeerLostError(
            "a step that all workers take together has failed; the state of this one is torn "
            f"and not saved: {reason}"
        )

    def tell(self, message: Message) -> None:
        """Sends a message: the chief to every follower, a follower to the chief.

        Raises:
            JobError: A worker has left or is lost.
        """
        for channel in self._channels.values():
            try:
                channel.send(message)
            except ClosedError as error:
                raise self._reason(error) from error

    def receive(self, *kinds: str) -> Message:
        """The chief's next message to this follower.

        Args:
            *kinds: What it may be about.

        Raises:
            JobError: The chief has left or is lost.
        """
        return self._from(0, kinds)

    def collect(self, kind: str) -> list[Message]:
        """One message of each follower, in order of the workers; for the chief.

        Raises:
            JobError: A follower has left or is lost.
        """
        return [self._from(worker, (kind,)) for worker in sorted(self._channels)]

    def _from(self, worker: int, kinds: Sequence[str]) -> Message:
        try:
            message = self._channels[worker].receive(tick=self._check)
        except ClosedError as error:
            raise self._reason(error) from error
        if message.kind == LEAVE and LEAVE not in kinds:
            raise shared_error(message, who=self._names[worker])
        if message.kind not in kinds:
            raise RuntimeError(f"worker {worker} sent {message.kind!r}, not one of {kinds}")
        return message

    def _check(self) -> None:
        self._tick()
        if (error := self.left) is not None and self.is_chief:
            raise error

    def _reason(self, error: ClosedError) -> JobError:
        return self.left or PeerLostError(f"a worker is lost: {error}")

    def leave(self, code: ExitCode, message: str) -> None:
        """Says farewell and closes every connection; may be called again."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        farewell = Message(LEAVE, {"code": int(code), "message": message})
        for channel in self._channels.values():
            try:
                channel.send(farewell)
            except ClosedError:
                pass
            channel.close()

    def _note_status(self, status: Mapping[str, Any]) -> None:
        if status.get("signal"):
            self._on_stop(int(status["signal"]))

    def _note_leave(self, name: str, message: Message) -> None:
        if self._left is None:
            self._left, self._left_by = message, name
        error = shared_error(message, who=name)
        self._timer = threading.Timer(
            _NOTICE_SECONDS, lambda: self._end_unless_closing(error.exit_code, str(error))
        )
        self._timer.daemon = True
        self._timer.start()

    def _lose(self, name: str, reason: str) -> None:
        self._end_unless_closing(ExitCode.PEER_LOST, f"{name} is lost: {reason}")

    def _end_unless_closing(self, code: ExitCode, reason: str) -> None:
        if not self._is_closing:
            self._end(code, reason)
