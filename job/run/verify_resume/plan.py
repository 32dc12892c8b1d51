"""How short the copy of a run is, and when it is killed; pure functions.

::

    size = first_size(config)
    sets = overrides(config, size=size, root="/tmp/x/reference")
    kills = plan_kills(6, total_steps=120, seconds_per_step=0.02, rng=random.Random())
"""

import json
import random
from dataclasses import dataclass, replace
from typing import Literal

from job.config.root import Config

How = Literal["SIGKILL", "SIGKILL in a save", "SIGTERM"]

HOWS: tuple[How, ...] = ("SIGKILL", "SIGKILL in a save", "SIGTERM")
_EPOCHS = 3
_STEPS_PER_EPOCH = 40
_MOST_KILLS = 9
_VALIDATION_PAIRS = 1000
# Saves in a run: often enough that a kill loses little and that a save is soon under way.
_NUM_SAVES = 20
# Delay of a kill after the step it waits for, in steps: the log shows only some of the steps.
_DELAY_STEPS = 10.0


@dataclass(frozen=True)
class Size:
    """How much of the run the copy trains.

    Attributes:
        epochs: Its epochs.
        steps_per_epoch: Optimizer steps in each, at most.
        validation_pairs: Pairs scored after each, at most.
    """

    epochs: int
    steps_per_epoch: int
    validation_pairs: int

    @property
    def steps(self) -> int:
        """Optimizer steps of the copy, at most."""
        return self.epochs * self.steps_per_epoch

    def shortened(self, ratio: float) -> "Size":
        """A size with about `ratio` times the steps and pairs; at least two steps an epoch."""
        return replace(
            self,
            steps_per_epoch=max(2, int(self.steps_per_epoch * ratio)),
            validation_pairs=max(32, int(self.validation_pairs * ratio)),
        )


@dataclass(frozen=True)
class Kill:
    """When and how an attempt is ended.

    Attributes:
        how: The signal. "in a save": as soon as a checkpoint without its commit is there.
        after_step: Step that the attempt must have reached; it also takes a step of its own.
        delay_seconds: Time to wait then.
    """

    how: How
    after_step: int
    delay_seconds: float


def first_size(config: Config) -> Size:
    """The size to try first."""
    training, evaluation = config.training, config.evaluation
    return Size(
        min(training.epochs or _EPOCHS, _EPOCHS),
        min(training.steps_per_epoch or _STEPS_PER_EPOCH, _STEPS_PER_EPOCH),
        min(evaluation.validation_pairs or _VALIDATION_PAIRS, _VALIDATION_PAIRS),
    )


def overrides(config: Config, *, size: Size, root: str) -> list[str]:
    """The `--set` values that turn the user's run into its short copy below `root`."""
    warmup = min(config.training.schedule.warmup_steps, size.epochs - 1)
    return [
        f"run.root={json.dumps(root)}",
        f"run.name={config.run.name}",
        f"training.epochs={size.epochs}",
        f"training.steps_per_epoch={size.steps_per_epoch}",
        # A warm-up must be shorter than the run, of which an epoch is a step at least.
        f"training.schedule.warmup_steps={warmup}",
        f"evaluation.validation_pairs={size.validation_pairs}",
        "checkpoint.every_seconds=null",
        f"checkpoint.every_steps={max(1, size.steps // _NUM_SAVES)}",
        "callbacks.activations=null",
        "export.enabled=false",
        "metrics.enabled=false",
        # The process that is killed is the one that trains.
        "distribution.supervise=off",
        "logging.format=json",
        "logging.level=INFO",
        "logging.every_seconds=0.1",
    ]


def plan_kills(
    count: int, *, total_steps: int, seconds_per_step: float, rng: random.Random
) -> list[Kill]:
    """Kills at random steps, one in each of `count` equal parts of the run.

    The last part is followed by as many steps without a kill. All three ways take turns,
    beginning with a random one.
    """
    first = rng.randrange(len(HOWS))
    return [
        Kill(
            HOWS[(first + number) % len(HOWS)],
            int(total_steps * (number + rng.random()) / (count + 1)),
            rng.random() * _DELAY_STEPS * seconds_per_step,
        )
        for number in range(count)
    ]


def num_kills_that_fit(
    seconds_left: float, *, startup_seconds: float, training_seconds: float
) -> int:
    """How many kills fit: each costs a start; the training is done once, and a part again."""
    return max(
        0, min(_MOST_KILLS, int((seconds_left - 1.5 * training_seconds) / startup_seconds) - 1)
    )
