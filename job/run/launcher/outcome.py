"""How a launch of several workers goes on and ends, decided without a process or a clock.

::

    ends = [End(worker=1, code=137), End(worker=0, code=76)]
    exit_code(ends)    # 137: the chief only lost its peer
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from job.errors import ExitCode

# What a worker ends with because another one ended.
_CONSEQUENCES = frozenset({ExitCode.PEER_LOST, ExitCode.STALLED})
# What it ends with because the launcher ended it after another one.
_STOPPED = frozenset(
    {ExitCode.PREEMPTED, ExitCode.TERMINATED, 128 + signal.SIGKILL, ExitCode.STALLED}
)


@dataclass(frozen=True)
class End:
    """The end of a worker.

    Attributes:
        worker: Its index.
        code: Its exit code; 128 + n for signal n.
        was_stopped: Whether the launcher had ended it after another worker's end.
    """

    worker: int
    code: int
    was_stopped: bool = False

    @property
    def is_consequence(self) -> bool:
        """Whether another worker's end explains this one."""
        return self.code in _CONSEQUENCES or (self.was_stopped and self.code in _STOPPED)


def exit_code(ends: Sequence[End]) -> int:
    """The exit code of the launch.

    Args:
        ends: One for each worker, in the order in which they ended.

    Returns:
        The chief's, unless another worker's end explains it; then that of the first worker
        which failed by itself.
    """
    chief = next(end for end in ends if end.worker == 0)
    if not chief.is_consequence:
        return chief.code
    failed = (end for end in ends if end.code != ExitCode.FINISHED and not end.is_consequence)
    return next(failed, chief).code


def must_others_end(ends: Sequence[End]) -> bool:
    """Whether the workers that are left cannot go on: the chief ended, or a worker failed."""
    return any(end.worker == 0 or end.code != ExitCode.FINISHED for end in ends)
