"""Writes what a command was asked for to standard output, which others may read or redirect."""

import errno
import sys
import time
from collections.abc import Callable, Mapping

from job.config.root import Config
from job.errors import DiskFullError, ExitCode
from job.storage.parallel import ParallelDownloader
from job.telemetry.logs.setup import LoggingSetup, configure_logging

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def print_result(text: str) -> ExitCode:
    """Writes `text`, all of it; the exit code of a command that has nothing more to do.

    A reader that has gone is `cli`'s to answer, as for everything else that is printed.

    Raises:
        DiskFullError: Standard output is a file on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # What could not be written must not be tried again when the process ends.
        sys.stdout = None
        raise DiskFullError(
            f"standard output cannot be written: {error.strerror}. All {len(text)} characters "
            "are needed. Free some space, or send the output somewhere else."
        ) from error
    return ExitCode.FINISHED


def logs_on_stderr(config: Config, *, level: str) -> LoggingSetup:
    """Sends logs to standard error; a context manager.

    Args:
        config: Gives the run's name.
        level: Least severe level that is written.
    """
    return configure_logging(
        format="text",
        level=level,
        stream=sys.stderr,
        run=config.run.name,
        worker=0,
        is_terminal=False,
        metrics=None,
    )


def _nothing() -> None:
    """A command that is not asked to stop is ended by Ctrl-C."""


def data_access(
    config: Config,
    *,
    env: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
    check: Callable[[], None] = _nothing,
) -> ParallelDownloader:
    """What `load_dataset` needs for data in a bucket.

    Args:
        config: Says whether an emulator is allowed and how long a bucket is waited for.
        env: The process' environment; it may name an emulator of buckets.
        sleep: Waits between two tries; it may raise to end them.
        check: Called while files are copied; it may raise to end that.
    """
    return ParallelDownloader(
        allow_emulator=config.run.allow_emulator,
        outage_budget_seconds=config.checkpoint.outage_budget_seconds,
        sleep=sleep,
        check=check,
        env=env,
    )
