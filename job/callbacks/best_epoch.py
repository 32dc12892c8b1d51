"""Which epoch was the best so far."""

import math
from collections.abc import Mapping
from dataclasses import asdict

from job.checkpoints.records import Best
from job.config.monitors import MONITORS
from job.types import Json


class BestEpoch:
    """Follows one metric over the epochs.

    Args:
        monitor: A name in `config.monitors.MONITORS`.
    """

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._sign = 1.0 if MONITORS[monitor] == "max" else -1.0
        self.best: Best | None = None

    def update(self, epoch: int, logs: Mapping[str, float], *, global_step: int) -> bool:
        """Compares an epoch; True if it is the best one so far.

        Args:
            epoch: Number of the epoch, from 0 as in Keras.
            logs: Its metrics. A NaN or infinite value is never the best.
            global_step: Optimizer steps taken so far.
        """
        value = float(logs[self._monitor])
        if not math.isfinite(value):
            return False
        if self.best is not None and self._sign * value <= self._sign * self.best.value:
            return False
        self.best = Best(global_step, epoch + 1, self._monitor, value)
        return True

    def state_dict(self) -> Json:
        """JSON for the checkpoint."""
        return asdict(self.best) if self.best else None

    def load_state_dict(self, state: Json) -> None:
        """Restores `state_dict`, unless it is about another monitor."""
        if isinstance(state, Mapping) and state["monitor"] == self._monitor:
            self.best = Best(**state)  # type: ignore[arg-type]
