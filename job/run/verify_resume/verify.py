"""Trains a shortened copy of a run undisturbed and killed, and compares both."""

import logging
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from job.config.loader.load_config import LoadedConfig
from job.errors import ConfigError, JobError
from job.run.verify_resume.child import Attempt, Copy, Limits, run_attempt
from job.run.verify_resume.compare import Comparison, compare, last_contents
from job.run.verify_resume.plan import (
    Kill,
    Size,
    first_size,
    num_kills_that_fit,
    overrides,
    plan_kills,
)
from job.storage.open_store import below, open_store

log = logging.getLogger(__name__)

# Share of the time that the undisturbed run may train before it is shortened.
_TRAINING_SHARE = 0.15
_FEWEST_KILLS = 2
# An attempt may take so many times as long as the undisturbed run.
_PATIENCE = 20.0


@dataclass(frozen=True)
class Proof:
    """What was done and found.

    Attributes:
        size: Size of the copy.
        reference: The undisturbed run.
        attempts: The killed run.
        comparison: Of their last checkpoints.
        seconds: Time that all of it took.
    """

    size: Size
    reference: Attempt
    attempts: Sequence[Attempt]
    comparison: Comparison
    seconds: float

    @property
    def num_kills(self) -> int:
        """Attempts that were ended from outside, before the last checkpoint."""
        return len(self.attempts) - 1


def verify_resume(
    loaded: LoadedConfig,
    *,
    sets: Sequence[str],
    scratch: Path,
    minutes: float,
    num_kills: int | None,
    rng: random.Random,
) -> Proof:
    """Trains the copy twice and compares.

    Args:
        loaded: The configuration, with `sets`.
        sets: Values of `--set` that the user gave.
        scratch: An empty folder.
        minutes: Time for all of it.
        num_kills: Kills of the second run; None for as many as fit.
        rng: Chooses the moments of the kills.

    Raises:
        ConfigError: The time is too short.
        ChildError: The copy fails by itself.
    """
    began = time.monotonic()
    budget = 60.0 * minutes
    size, copy, reference = _train_reference(loaded, sets=sets, scratch=scratch, budget=budget)
    training = reference.seconds - reference.startup_seconds
    if num_kills is None:
        num_kills = num_kills_that_fit(
            budget - (time.monotonic() - began),
            startup_seconds=reference.startup_seconds,
            training_seconds=training,
        )
        _require_enough(num_kills, reference, minutes=minutes)
    kills = plan_kills(
        num_kills,
        total_steps=reference.step,
        seconds_per_step=training / max(reference.step, 1),
        rng=rng,
    )
    killed = _copy(loaded, sets=sets, size=size, folder=scratch / "killed")
    attempts = _train_killed(killed, kills, seconds=_PATIENCE * reference.seconds)
    comparison = compare(last_contents(copy.store), last_contents(killed.store))
    return Proof(size, reference, attempts, comparison, time.monotonic() - began)


def _train_killed(copy: Copy, kills: Sequence[Kill], *, seconds: float) -> list[Attempt]:
    """Trains with one attempt for each kill, and one that nobody disturbs.

    Args:
        copy: What is trained.
        kills: In order.
        seconds: Longest time of an attempt.

    Raises:
        JobError: The last attempt took longer.
    """
    attempts: list[Attempt] = []
    for number, kill in enumerate([*kills, None], start=1):
        attempts.append(run_attempt(copy, number=number, kill=kill, limits=Limits(seconds)))
        _log(attempts[-1], number=number)
        if attempts[-1].is_trained:
            return attempts
    raise JobError(
        f"the killed run did not end within {seconds:.0f} s, {_PATIENCE:g} times as long as "
        "the undisturbed one. It must end like any resumed run. Look at the logs with --keep."
    )


def _require_enough(num_kills: int, reference: Attempt, *, minutes: float) -> None:
    if num_kills >= _FEWEST_KILLS:
        return
    starts, startup = 3 + _FEWEST_KILLS, reference.startup_seconds
    needed = math.ceil((starts * startup + 3 * (reference.seconds - startup)) / 60.0)
    raise ConfigError(
        f"--minutes {minutes:g}: {num_kills} kills fit, of at least {_FEWEST_KILLS}: a start "
        f"takes {startup:.0f} s. Give --minutes {needed}."
    )


def _train_reference(
    loaded: LoadedConfig, *, sets: Sequence[str], scratch: Path, budget: float
) -> tuple[Size, Copy, Attempt]:
    """Trains the copy undisturbed; a size that takes too long is replaced by a smaller one."""
    size = first_size(loaded.config)
    left = budget
    for tries in range(3):
        copy = _copy(loaded, sets=sets, size=size, folder=scratch / f"undisturbed-{tries}")
        limits = Limits(left, _TRAINING_SHARE * budget)
        attempt = run_attempt(copy, number=0, kill=None, limits=limits)
        _log(attempt, number=0)
        if attempt.is_trained:
            return size, copy, attempt
        left -= attempt.seconds
        if not attempt.step or left <= 0.0:
            break
        # Half of what it trained in its time.
        size = size.shortened(0.5 * attempt.step / size.steps)
    raise ConfigError(
        f"--minutes {budget / 60.0:g}: the shortened run did not end within "
        f"{attempt.seconds:.0f} s. It trained {attempt.step} of {size.steps} steps. Give more "
        "minutes, or smaller data."
    )


def _copy(loaded: LoadedConfig, *, sets: Sequence[str], size: Size, folder: Path) -> Copy:
    logs = folder / "logs"
    logs.mkdir(parents=True)
    root = str(folder / "runs")
    return Copy(
        loaded.path,
        [*sets, *overrides(loaded.config, size=size, root=root)],
        open_store(below(root, loaded.config.run.name)),
        size.epochs,
        logs,
    )


def _log(attempt: Attempt, *, number: int) -> None:
    facts = {
        "attempt": number or "undisturbed",
        "ended_by": attempt.ending,
        "resumed_at": attempt.resumed_at,
        "step": attempt.step,
        "seconds": round(attempt.seconds, 1),
    }
    log.info("attempt ended", extra=facts)
