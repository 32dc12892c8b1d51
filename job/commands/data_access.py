"""How a command reaches data in a bucket, from the configuration and the process."""

import time
from collections.abc import Callable, Mapping

from job.config.root import Config
from job.data.places.access import DataAccess


def _nothing() -> None:
    """A command that is not asked to stop is ended by Ctrl-C."""


def data_access(
    config: Config,
    *,
    env: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
    check: Callable[[], None] = _nothing,
) -> DataAccess:
    """What `load_dataset` needs for data in a bucket.

    Args:
        config: Says whether an emulator is allowed and how long a bucket is waited for.
        env: The process' environment; it may name an emulator of buckets.
        sleep: Waits between two tries; it may raise to end them.
        check: Called while files are copied; it may raise to end that.
    """
    return DataAccess(
        allow_emulator=config.run.allow_emulator,
        outage_budget_seconds=config.checkpoint.outage_budget_seconds,
        sleep=sleep,
        check=check,
        env=env,
    )
