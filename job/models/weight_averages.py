"""An exponential moving average of the weights, which evaluation can use instead of them.

The average is part of the state of a run, like the moments of an optimizer. Keras' own,
`ema_overwrite_frequency`, would put it in the place of the weights that are trained::

    averages = WeightAverages.of(scorer.trainable_variables, momentum=0.999)
    with averages.in_use():
        scorer(pairs)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True, eq=False)
class WeightAverages:
    """A moving average for each trainable weight.

    Moving statistics of batch normalisation are averages already and have none.

    Attributes:
        momentum: Share of the average that a step keeps, in (0, 1).
        weights: The trainable weights.
        variables: Their averages, in the same order.
    """

    momentum: float
    weights: Sequence[keras.Variable]
    variables: Sequence[keras.Variable]

    @classmethod
    def of(cls, weights: Sequence[keras.Variable], *, momentum: float) -> "WeightAverages":
        """Creates averages that are equal to the weights."""
        variables = [
            keras.Variable(weight.value.numpy(), trainable=False, name="average")
            for weight in weights
        ]
        return cls(momentum, weights, variables)

    def named(self) -> dict[str, keras.Variable]:
        """The averages by the path of their weight."""
        return {
            weight.path: variable
            for weight, variable in zip(self.weights, self.variables, strict=True)
        }

    def share_of_weights(self, step: Any) -> tf.Tensor:
        """The share of the average that a step replaces by the weights.

        Args:
            step: Integer (): the steps taken before. The first ones keep less of the average,
                or it would resemble the initial weights for long.

        Returns:
            float32 ().

        Source: `tf.train.ExponentialMovingAverage` with `num_updates`: the momentum is at
        most (1 + step) / (10 + step).
        """
        step = tf.cast(step, tf.float32)
        return 1.0 - tf.minimum(self.momentum, (1.0 + step) / (10.0 + step))

    def restart(self) -> None:
        """Sets the averages to the weights."""
        _assign(self.variables, self.weights)

    def apply(self) -> None:
        """Sets the weights to their averages, for good."""
        _assign(self.weights, self.variables)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within the block the weights are their averages; then they are what they were."""
        own = [weight.value.numpy() for weight in self.weights]
        try:
            self.apply()
            yield
        finally:
            for weight, value in zip(self.weights, own, strict=True):
                weight.assign(value)


def _assign(targets: Sequence[keras.Variable], sources: Sequence[keras.Variable]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.assign(source.value.numpy())
