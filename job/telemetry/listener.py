"""What happens in a run, told once to everything that watches it.

`run/` and the callbacks call `Listeners`; metrics, health and the watchdog
implement the methods they care about under the same names::

    listener = Listeners(metrics, health)
    listener.set_phase("training")   # RunMetrics has this method, Health does not
"""

from collections.abc import Mapping
from typing import Any

from job.telemetry.metric_definitions import Phase
from job.types import Split


class Listeners:
    """Calls a method on each listener that has it.

    Args:
        listeners: Such as `RunMetrics` and `Health`, whose docstrings describe each event.
    """

    def __init__(self, *listeners: object) -> None:
        self._listeners = listeners

    def waiting_for(self, what: str) -> None:
        """`what` has to finish before the first training step."""
        self._tell("waiting_for", what)

    def set_phase(self, phase: Phase) -> None:
        """The run does something else from now on."""
        self._tell("set_phase", phase)

    def heartbeat(self) -> None:
        """Something has just finished."""
        self._tell("heartbeat")

    def set_dataset(self, split: Split, *, examples: int, positive: int, negative: int) -> None:
        """A split was loaded."""
        self._tell(
            "set_dataset", split, examples=examples, positive=positive, negative=negative
        )

    def count_input_records(self, ok: int, *, corrupt: int = 0) -> None:
        """Input rows were read."""
        self._tell("count_input_records", ok, corrupt=corrupt)

    def describe_build(self, **labels: str) -> None:
        """The software is known."""
        self._tell("describe_build", **labels)

    def describe_run(self, **labels: str | int | float) -> None:
        """The model, data and devices are known."""
        self._tell("describe_run", **labels)

    def set_targets(self, steps: int, *, epochs: int) -> None:
        """The length of training is known."""
        self._tell("set_targets", steps, epochs=epochs)

    def start_attempt(self, attempts: int, *, run_started: float) -> None:
        """This process holds the run."""
        self._tell("start_attempt", attempts, run_started=run_started)

    def checkpoint_restored(self, step: int, *, seconds: float) -> None:
        """The run resumes from a checkpoint."""
        self._tell("checkpoint_restored", step, seconds=seconds)

    def finish_startup(self) -> None:
        """Training starts."""
        self._tell("finish_startup")

    def validation_finished(self, seconds: float) -> None:
        """The validation pairs were scored."""
        self._tell("validation_finished", seconds)

    def checkpoint_saved(self, step: int, *, bytes: int, seconds: float, retained: int) -> None:
        """A checkpoint was committed."""
        self._tell("checkpoint_saved", step, bytes=bytes, seconds=seconds, retained=retained)

    def checkpoint_skipped(self) -> None:
        """A periodic save was left out, because the one before is in flight."""
        self._tell("checkpoint_skipped")

    def checkpoint_failed(self) -> None:
        """A checkpoint could not be committed."""
        self._tell("checkpoint_failed")

    def set_activations(
        self, layer: str, *, mean: float, std: float, zero_ratio: float, norm: float
    ) -> None:
        """The activations of a layer were measured."""
        self._tell(
            "set_activations", layer, mean=mean, std=std, zero_ratio=zero_ratio, norm=norm
        )

    def set_epoch_result(
        self, split: Split, *, loss: float | None = None, quality: Mapping[str, float]
    ) -> None:
        """A split was measured."""
        self._tell("set_epoch_result", split, loss=loss, quality=quality)

    def set_decision_threshold(self, threshold: float) -> None:
        """The threshold was chosen."""
        self._tell("set_decision_threshold", threshold)

    def preemption_noticed(self) -> None:
        """The process ends because of SIGTERM."""
        self._tell("preemption_noticed")

    def stop_being_ready(self, reason: str) -> None:
        """The run ends."""
        self._tell("stop_being_ready", reason)

    def _tell(self, event: str, *args: Any, **facts: Any) -> None:
        for listener in self._listeners:
            method = getattr(listener, event, None)
            if method is not None:
                method(*args, **facts)
