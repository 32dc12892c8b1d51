"""Brings the workers of a run together, and ends them together."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from job.config.resume import as_record
from job.config.root import Config
from job.distribution.group import Group
from job.distribution.hardware import library_versions
from job.distribution.messages import Message
from job.distribution.rendezvous import Patience, dismiss, meet
from job.errors import ConfigError, ExitCode, JobError, StopError
from job.run.context import RunContext

log = logging.getLogger(__name__)

# What one worker may have otherwise than another.
_OWN_SECTIONS = ("metrics", "logging")


# A follower starts a little later than the chief, or earlier.
_DISMISSAL_SECONDS = 10.0


@contextmanager
def joined_group(run: RunContext) -> Iterator[Group]:
    """The workers of the run; when the block ends, the others are told how.

    Raises:
        ConfigError: The workers were started differently.
        PeerLostError: A worker did not come in time.
    """
    cluster, section = run.cluster, run.config.distribution
    if cluster.num_workers == 1:
        yield Group()
        return
    names = [cluster.name(worker) for worker in range(cluster.num_workers)]
    group = Group(
        cluster.worker,
        names,
        end=partial(run.watchdog.end, with_stacks=False),
        tick=run.stop.raise_if_requested,
        on_stop=run.stop.request,
        signal=lambda: run.stop.number,
    )
    log.info("one of several workers", extra={"this": names[cluster.worker], "leads": names[0]})
    run.watchdog.watch_peers(lambda: group.waits_for_others)
    with _farewell(group):
        hello = _hello(run.config, num_workers=cluster.num_workers)
        meet(group, cluster, hello, _patience(run, section.arrival_seconds))
        if not group.is_dismissed:
            log.info("all workers are here", extra={"workers": cluster.num_workers})
        yield group


@contextmanager
def telling_followers(run: RunContext) -> Iterator[None]:
    """In the block the chief may end before it meets its followers: they are told why."""
    try:
        yield
    except StopError:  # they get a signal of their own
        raise
    except JobError as error:
        dismiss_followers(run, error.exit_code, str(error))
        raise


def dismiss_followers(run: RunContext, code: ExitCode, message: str) -> None:
    """Ends the followers that come soon, in the way in which the chief ends."""
    if run.cluster.num_workers > 1:
        patience = _patience(run, _DISMISSAL_SECONDS)
        dismiss(run.cluster, patience, code=code, message=message)


def _patience(run: RunContext, seconds: float) -> Patience:
    return Patience(
        seconds,
        run.config.distribution.silence_seconds,
        tick=run.stop.raise_if_requested,
        waiting_for=run.listener.waiting_for,
        sleep=run.stop.sleep,
    )


@contextmanager
def _farewell(group: Group) -> Iterator[None]:
    try:
        yield
    except JobError as error:
        group.leave(error.exit_code, str(error))
        raise
    except BaseException as error:
        group.leave(ExitCode.UNEXPECTED, f"{type(error).__name__}: {error}")
        raise
    group.leave(ExitCode.FINISHED, "the run is finished")


def _hello(config: Config, *, num_workers: int) -> dict[str, Any]:
    """What must be the same on all workers; read without importing TensorFlow."""
    shared = {k: v for k, v in as_record(config).items() if k not in _OWN_SECTIONS}
    return {**shared, "workers": num_workers, "versions": library_versions()}


def require_same_data(group: Group, *, fingerprint: str) -> None:
    """Compares the data of all workers.

    Raises:
        ConfigError: They differ; on every worker.
        JobError: Another worker could not read its data.
    """
    if not group.is_chief:
        group.tell(Message("data", {"fingerprint": fingerprint}))
        return
    for worker, message in enumerate(group.collect("data"), start=1):
        other = message.facts["fingerprint"]
        if other != fingerprint:
            raise ConfigError(
                f"the data of worker {worker} is not that of the chief: fingerprint "
                f"{other[:12]}, expected {fingerprint[:12]}. Give all workers the same files."
            )
