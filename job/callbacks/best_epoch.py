"""Remembers which epoch was the best one."""

import math
from collections.abc import Mapping
from dataclasses import asdict

from job.checkpoints.records import Best
from job.config.monitors import MONITORS
from job.types import Json


class BestEpoch:
    """Follows one measurement over the epochs.

    Args:
        monitor: A name of `config.monitors.MONITORS`.
    """

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._sign = 1.0 if MONITORS[monitor] == "max" else -1.0
        self.best: Best | None = None

    def update(self, epoch: int, logs: Mapping[str, float], *, global_step: int) -> bool:
        """Takes an epoch's measurements in; True when it is the best one so far.

        Args:
            epoch: Number of the epoch, from 0, as Keras counts.
            logs: What was measured. A value that is not finite is never the best.
            global_step: Optimizer steps taken so far.
        """
        value = float(logs[self._monitor])
        if not math.isfinite(value):
            return False
        if self.best is not None and self._sign * value <= self._sign * self.best.value:
            return False
        self.best = Best(global_step, epoch + 1, self._monitor, value)
        return True

    def to_json(self) -> Json:
        """For the checkpoint."""
        return asdict(self.best) if self.best else None

    def restore(self, state: Json) -> None:
        """Takes back what `to_json` gave; values of another monitor can not be compared."""
        if isinstance(state, Mapping) and state["monitor"] == self._monitor:
            self.best = Best(**state)  # type: ignore[arg-type]
