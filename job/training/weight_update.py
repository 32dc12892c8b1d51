"""Updates the weights with a gradient that has been summed over all replicas.

Keras' own `Optimizer.apply` clips the gradient of each replica before it adds them up, so the
result would depend on the number of replicas, and needs a second reduction. Here the formula of
each optimizer is Keras', `Optimizer.update_step`; the rest is done once, on the sum::

    update = WeightUpdate(siamese.optimizer, siamese.scorer.trainable_variables)
    update(gradients)  # under strategy.run
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True, eq=False)
class WeightUpdate:
    """Applies gradients; call it on every replica.

    Attributes:
        optimizer: From `build_optimizer`, built for `variables`.
        variables: The trainable variables.
    """

    optimizer: keras.optimizers.Optimizer
    variables: Sequence[keras.Variable]

    def __call__(self, gradients: Sequence[tf.Tensor]) -> None:
        """Takes one step; with loss scaling, none if a gradient is not finite.

        Args:
            gradients: float32, one per variable, of `optimizer.scale_loss(loss)`, the sum over
                all replicas and thus the same on each.
        """
        replica = tf.distribute.get_replica_context()
        rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        if not isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            replica.merge_call(self._apply, args=(gradients, rate))
            return
        is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(one)) for one in gradients])
        scale = tf.convert_to_tensor(self.optimizer.dynamic_scale)
        unscaled = [gradient / scale for gradient in gradients]
        replica.merge_call(self._apply_if, args=(is_finite, unscaled, rate))

    def _apply_if(
        self, strategy: tf.distribute.Strategy, is_finite: Any, gradients: Any, rate: Any
    ) -> None:
        """Applies gradients that are finite, and adapts the scale of the loss.

        As in `keras.optimizers.LossScaleOptimizer`: the scale is halved when a gradient
        overflows, and doubled after `dynamic_growth_steps` in a row without one.
        """
        scaler = self.optimizer

        def apply() -> None:
            self._apply(strategy, gradients, rate)
            count = scaler.step_counter + 1
            is_due = count == scaler.dynamic_growth_steps
            scaler.dynamic_scale.assign(scaler.dynamic_scale * tf.where(is_due, 2.0, 1.0))
            scaler.step_counter.assign(tf.where(is_due, tf.zeros_like(count), count))

        def skip() -> None:
            scaler.dynamic_scale.assign(scaler.dynamic_scale * 0.5)
            scaler.step_counter.assign(0)

        # Every replica has the same sum, so the first one decides for all.
        tf.cond(strategy.experimental_local_results(is_finite)[0], apply, skip)

    def _apply(self, strategy: tf.distribute.Strategy, gradients: Any, rate: Any) -> None:
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)

        def update(variable: tf.Variable, gradient: tf.Tensor, rate: tf.Tensor) -> None:
            inner.update_step(gradient, variable, rate)

        for variable, gradient in zip(self.variables, gradients, strict=True):
            strategy.extended.update(variable.value, update, args=(gradient, rate), group=False)
        inner.iterations.assign_add(1)
