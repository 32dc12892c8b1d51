"""Signals for a process that waits for others: it does not sleep through the end of one.

::

    with Signals() as signals:
        select.select([signals.reader], [], [], 0.5)
        for number in signals.read():
            child.send_signal(number)
"""

import os
import signal
from types import TracebackType
from typing import Self

_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM, SIGINT and the end of children, as bytes in a pipe; main thread only.

    Attributes:
        reader: The end of the pipe that `select` waits at.
    """

    def __enter__(self) -> Self:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._old_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old = {
            number: signal.signal(number, _do_nothing)
            for number in (*_STOPPING, signal.SIGCHLD)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self.reader)
        os.close(self._writer)

    def read(self) -> list[int]:
        """The signals to stop that arrived, in order."""
        try:
            numbers = os.read(self.reader, 64)
        except BlockingIOError:
            return []
        return [number for number in numbers if number in _STOPPING]


def _do_nothing(*_: object) -> None:
    """A handler: the byte in the pipe is what counts."""
