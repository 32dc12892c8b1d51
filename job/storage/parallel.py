"""How data in a bucket are reached; what is on this machine needs none of it.

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
from typing import TypeVar

from job.storage.object_store import ObjectStore
from job.storage.open_store import open_store
from job.storage.os_errors import DATA, MessageContext

Item = TypeVar("Item")
Result = TypeVar("Result")

# The client library keeps ten connections to a bucket and complains about more.
NUM_THREADS = 8
_LONGEST_PAUSE_SECONDS = 0.5


class _HaltedError(Exception):
    """Ends a wait that nobody waits for any more."""


def _nothing() -> None:
    """Nobody asks this process to stop but by ending it."""


@dataclass(frozen=True)
class ParallelDownloader:
    """What reaching a bucket takes.

    Args:
        allow_emulator: Whether a bucket may be an emulator's (`run.allow_emulator`).
        outage_budget_seconds: How long a bucket that does not answer is waited for.
        sleep: Waits for so many seconds between two tries; what it raises ends the trying.
        check_stop: Called all the while that files are copied; what it raises ends the copying.
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
        """The store at `uri`, untouched.

        Args:
            uri: `gs://bucket/prefix`.
            key: Setting that names it, for messages.
            purpose: What it is used for.

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
        """Does the same with many items in several threads.

        Few items are in hand at a time, so `items` may be a long generator. After an error, of
        a thread, of `check` or a Ctrl-C, nothing new is begun and waits are cut short; what is
        under way ends first.

        Args:
            work: What is done with an item, in a thread of its own.
            items: The items.

        Yields:
            What `work` returned, in the order in which it was done.
        """
        self._halt.clear()
        waiting: set[Future[Result]] = set()
        with ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="data") as pool:
            try:
                for item in items:
                    waiting.add(pool.submit(work, item))
                    while len(waiting) >= 2 * NUM_THREADS:
                        yield from self._done(waiting)
                while waiting:
                    yield from self._done(waiting)
            except BaseException:
                self._halt.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _done(self, waiting: set[Future[Result]]) -> Iterator[Result]:
        self.check_stop()
        done, _ = wait(waiting, timeout=_LONGEST_PAUSE_SECONDS, return_when=FIRST_COMPLETED)
        waiting -= done
        for future in done:
            yield future.result()

    def _pause(self, seconds: float) -> None:
        """Sleeps, and soon no more once the work is given up."""
        while seconds > 0.0:
            if self._halt.is_set():
                raise _HaltedError
            step = min(seconds, _LONGEST_PAUSE_SECONDS)
            self.sleep(step)
            seconds -= step
