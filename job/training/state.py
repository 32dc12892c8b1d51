"""The state that training changes, and its copies in and out of TensorFlow.

`TrainState` and the model's variables are all that the loop mutates. A snapshot of both is a
`checkpoints.serialization.RunState`; training continues from a restored one as if it had never
stopped.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np

from job.checkpoints.serialization import RunState, Spec
from job.types import Position


@dataclass
class TrainState:
    """Progress and metrics of a run.

    Attributes:
        position: Steps and epochs so far.
        sums: Running sums of the current epoch: `pairs`, `loss`, `correct`. Plain float64,
            added step by step, so that they do not depend on how steps are grouped into calls.
        history: Metrics of each finished epoch.
        seconds: Wall time of the run over all attempts, as of the last snapshot.
        stop_reason: The callback that ended training, "" if none has.
        epoch_begun: Whether `on_epoch_begin` has run for the current epoch.
        nonfinite_steps: Steps of this process with a NaN or infinite loss; not saved.
    """

    position: Position = field(default_factory=Position)
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    stop_reason: str = ""
    epoch_begun: bool = False
    nonfinite_steps: int = 0

    @classmethod
    def load(cls, saved: RunState) -> Self:
        """Continues from a snapshot."""
        history = [dict(epoch) for epoch in saved.history]
        return cls(
            saved.position,
            dict(saved.sums),
            history,
            saved.seconds,
            saved.stop_reason,
            saved.epoch_begun,
        )

    def state_dict(self) -> dict[str, Any]:
        """The fields of `RunState` that this object owns; later training leaves them alone."""
        return {
            "position": self.position,
            "sums": dict(self.sums),
            "history": [dict(epoch) for epoch in self.history],
            "seconds": self.seconds,
            "stop_reason": self.stop_reason,
            "epoch_begun": self.epoch_begun,
        }

    def add_steps(self, *, loss: np.ndarray, correct: np.ndarray, pairs_per_step: int) -> None:
        """Adds the results of some steps to the sums and advances the position."""
        for step_loss, step_correct in zip(loss, correct, strict=True):
            self._add("loss", float(step_loss) * pairs_per_step)
            self._add("correct", float(step_correct))
            self._add("pairs", pairs_per_step)
        self.nonfinite_steps += int(np.count_nonzero(~np.isfinite(loss)))
        self.position = self.position.advanced(len(loss))

    def _add(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value

    def running_means(self) -> dict[str, float]:
        """Mean loss and accuracy over the pairs of the epoch so far, named as in Keras."""
        pairs = self.sums.get("pairs", 0.0)
        if not pairs:
            return {}
        return {"loss": self.sums["loss"] / pairs, "accuracy": self.sums["correct"] / pairs}

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Closes the current epoch."""
        self.history.append(dict(metrics))
        self.sums = {}
        self.epoch_begun = False
        self.position = self.position.next_epoch()


def read_variables(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Copies Keras variables, from `Siamese.variables`, to host memory."""
    return {key: np.array(variable.value.numpy()) for key, variable in variables.items()}


def write_variables(variables: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> None:
    """Assigns stored arrays to Keras variables, on every replica.

    Args:
        variables: Keras variables by key.
        values: Arrays of their shapes and dtypes by the same keys, maybe more.
    """
    for key, variable in variables.items():
        variable.assign(values[key])


def read_random_state() -> dict[str, list[Any]]:
    """State of the global generators of Python and NumPy as JSON."""
    version, words, gauss = random.getstate()
    legacy: Any = np.random.get_state()
    kind, key, *rest = legacy
    return {"python": [version, list(words), gauss], "numpy": [kind, key.tolist(), *rest]}


def write_random_state(state: Mapping[str, Sequence[Any]]) -> None:
    """Restores `read_random_state`."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(state["numpy"]))


def expected_spec(variables: Mapping[str, Any]) -> Spec:
    """(shape, dtype) that each stored array must have to fit this model."""
    return {
        key: (
            tuple(variable.shape),
            np.dtype(keras.backend.standardize_dtype(variable.dtype)).name,
        )
        for key, variable in variables.items()
    }
