"""Commits snapshots in a thread of its own, one at a time, while training continues.

The thread owns every write of a checkpoint: encoding, uploads, the commit, HEAD, deletes. An
error reaches training at the next `wait`::

    saves = BackgroundSaves(manager)
    if not saves.is_busy:
        saves.submit(checkpointer.snapshot(), metrics={}, best=None)
    ...
    saves.wait()
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from job.checkpoints.commit import SaveResult
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.records import Best, Status
from job.checkpoints.serialization import RunState

_TICK_SECONDS = 1.0


class BackgroundSaves:
    """The saves of one attempt; used from the main thread.

    Args:
        manager: Commits; nothing else may save with it.
        thread_time: Processor time of the calling thread in seconds.

    Attributes:
        cpu_seconds: Processor time of the newest finished save, without uploads and deletes.
    """

    def __init__(
        self,
        manager: CheckpointManager,
        *,
        thread_time: Callable[[], float] = time.thread_time,
    ) -> None:
        self.cpu_seconds = 0.0
        self._manager = manager
        self._thread_time = thread_time
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._save: Future[SaveResult] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a save is in flight."""
        return self._save is not None and not self._save.done()

    def submit(
        self,
        snapshot: RunState,
        *,
        metrics: Mapping[str, float],
        best: Best | None,
        status: Status | None = None,
        reason: str = "",
    ) -> None:
        """Begins a save; arguments as for `CheckpointManager.save`.

        Raises:
            RuntimeError: The result of the one before was not taken by `wait`.
        """
        if self._save is not None:
            raise RuntimeError("a save is in flight; call wait() first")

        def save() -> SaveResult:
            began = self._thread_time()
            try:
                return self._manager.save(
                    snapshot, metrics=metrics, best=best, status=status, reason=reason
                )
            finally:
                self.cpu_seconds = self._thread_time() - began

        self._save = self._pool.submit(save)
        self.collect_garbage()

    def wait(self, *, tick: Callable[[], None] = lambda: None) -> SaveResult | None:
        """Waits for the save in flight, not for deletes; None if it was taken already.

        Args:
            tick: Called about every second while it waits.

        Raises:
            JobError: That save failed; the commit before it is intact.
        """
        if self._save is None:
            return None
        while not wait([self._save], timeout=_TICK_SECONDS).done:
            tick()
        save, self._save = self._save, None
        return save.result()

    def close(self) -> None:
        """Waits for everything, deletes included; a stop request cuts deletes short."""
        self._pool.shutdown(wait=True)

    def collect_garbage(self) -> None:
        """Deletes what is not needed any more, after the save in flight."""
        self._pool.submit(self._manager.collect_garbage)
