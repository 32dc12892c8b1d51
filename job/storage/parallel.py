"""Access to data in a bucket, by several threads.

::

    access = ParallelDownloader(
        allow_emulator=True, sleep=stop.sleep, check_stop=stop.raise_if_requested,
        env=os.environ)
    store = access.open("gs://sets/faces", key="data.root")
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from job.storage.object_store import ObjectStore
from job.storage.open_store import open_store
from job.storage.os_errors import DATA, MessageContext

Item = TypeVar("Item")
Result = TypeVar("Result")

# The client library keeps ten connections to a bucket and warns about more.
NUM_THREADS = 8
_LONGEST_PAUSE_SECONDS = 0.5


class _HaltedError(Exception):
    """Ends a call in progress after the work was cancelled."""


def _nothing() -> None:
    """No request to stop can arrive."""


@dataclass(frozen=True)
class ParallelDownloader:
    """Opens buckets and runs work in threads.

    Args:
        allow_emulator: Whether a bucket may be an emulator's (`run.allow_emulator`).
        outage_budget_seconds: How long to retry while a bucket does not answer.
        sleep: Waits between two tries, in seconds; an exception ends the retries.
        check_stop: Called at least twice a second during the work; an exception ends it.
        monotonic: Clock in seconds.
        env: Environment variables; STORAGE_EMULATOR_HOST names the emulator of buckets.
    """

    allow_emulator: bool = False
    outage_budget_seconds: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    check_stop: Callable[[], None] = _nothing
    monotonic: Callable[[], float] = time.monotonic
    env: Mapping[str, str] = field(default_factory=dict)
    _halt: threading.Event = field(default_factory=threading.Event, repr=False)

    def open(self, uri: str, *, key: str, purpose: MessageContext = DATA) -> ObjectStore:
        """The store at `uri`; sends no request.

        Args:
            uri: `gs://bucket/prefix`.
            key: Setting that names it, for messages.
            purpose: Use of the store, for messages.

        Raises:
            ConfigError: The URI names no bucket, or an emulator is not allowed.
        """
        return open_store(
            uri,
            allow_emulator=self.allow_emulator,
            outage_budget_seconds=self.outage_budget_seconds,
            sleep=self._pause,
            env=self.env,
            purpose=purpose.at(key),
        )

    def in_parallel(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Calls `work` for each item in several threads.

        Items are taken as threads become free, so `items` may be a long generator. After an
        error of a thread or of `check_stop`, or after Ctrl-C, no further item is started; a
        call in progress ends with its next pause or `check_halted`, or is completed.

        Yields:
            What `work` returned, in order of completion.
        """
        self._halt.clear()
        left = iter(items)
        waiting: set[Future[Result]] = set()
        with ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="data") as pool:
            try:
                while True:
                    free = 2 * NUM_THREADS - len(waiting)
                    waiting.update(pool.submit(work, item) for item in islice(left, free))
                    if not waiting:
                        return
                    self.check_stop()
                    done, waiting = wait(
                        waiting, _LONGEST_PAUSE_SECONDS, return_when=FIRST_COMPLETED
                    )
                    for future in done:
                        yield future.result()
            except BaseException:
                self._halt.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def check_halted(self) -> None:
        """Ends a call of `in_parallel` after the work was cancelled, by an exception."""
        if self._halt.is_set():
            raise _HaltedError

    def _pause(self, seconds: float) -> None:
        """Sleeps, but not after the work was cancelled."""
        while seconds > 0.0:
            self.check_halted()
            step = min(seconds, _LONGEST_PAUSE_SECONDS)
            self.sleep(step)
            seconds -= step
