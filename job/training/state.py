"""What a run is at one moment, and how it is taken from and put back into TensorFlow.

`TrainingState` is the only mutable thing the loop owns besides the model's variables. A
snapshot of both is a `checkpoints.state.RunState`; restoring one makes training go on as if it
had never stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from job.types import Position


@dataclass
class TrainingState:
    """Position and measurements of the run.

    Attributes:
        position: Where training stands.
        sums: Running sums of the epoch under way: `steps`, `pairs`, `loss`, `correct`. Plain
            float64, added step by step, so that they do not depend on how steps are grouped.
        history: One mapping of measurements for each completed epoch.
        nonfinite_steps: Steps of this process whose loss was no finite number.
    """

    position: Position = field(default_factory=Position)
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    nonfinite_steps: int = 0

    def add_steps(self, *, loss: np.ndarray, correct: np.ndarray, pairs_per_step: int) -> None:
        """Adds the measurements of some steps to the sums and moves the position on."""
        for step_loss, step_correct in zip(loss, correct, strict=True):
            self._add("loss", float(step_loss) * pairs_per_step)
            self._add("correct", float(step_correct))
            self._add("pairs", pairs_per_step)
        self.nonfinite_steps += int(np.count_nonzero(~np.isfinite(loss)))
        self.position = self.position.advanced(len(loss))

    def _add(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value

    def running_means(self) -> dict[str, float]:
        """Mean loss and accuracy over the pairs of the epoch so far, as Keras names them."""
        pairs = self.sums.get("pairs", 0.0)
        if not pairs:
            return {}
        return {"loss": self.sums["loss"] / pairs, "accuracy": self.sums["correct"] / pairs}

    def end_epoch(self, measurements: Mapping[str, float]) -> None:
        """Closes the epoch under way with what was measured in it."""
        self.history.append(dict(measurements))
        self.sums = {}
        self.position = self.position.next_epoch()


def read_variables(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Copies variables to host memory.

    Args:
        variables: Keras variables by key, from `Siamese.variables`.

    Returns:
        Arrays by the same keys; later training does not change them.
    """
    return {key: np.array(variable.value.numpy()) for key, variable in variables.items()}


def write_variables(variables: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> None:
    """Assigns stored arrays to variables, on every replica.

    Args:
        variables: Keras variables by key.
        values: Arrays by key; every variable has one, of its shape and type.
    """
    for key, variable in variables.items():
        variable.assign(values[key])


def expected_spec(
    variables: Mapping[str, Any],
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type that each stored array must have to fit this model."""
    return {
        key: (
            tuple(variable.shape),
            np.dtype(keras.backend.standardize_dtype(variable.dtype)).name,
        )
        for key, variable in variables.items()
    }
