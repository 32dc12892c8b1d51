"""Updates the weights with a gradient that has been summed over all replicas.

Keras' own `Optimizer.apply` clips the gradient of each replica before it adds them up, so the
result would depend on the number of replicas, and needs a second reduction. Here the formula of
each optimizer is Keras', `Optimizer.update_step`; the rest is done once, on the sum::

    update = WeightUpdate(siamese, UpdateRule(clip_norm=1.0))
    update(gradients)  # under strategy.run
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from job.models.learning_rate import CONSTANT, RateSchedule
from job.models.optimizers import decays
from job.models.siamese import Siamese


@dataclass(frozen=True)
class UpdateRule:
    """What is done besides the formula of the optimizer.

    Attributes:
        clip_norm: Largest norm of all gradients together; None for no limit.
        schedule: The factor of the learning rate.
    """

    clip_norm: float | None = None
    schedule: RateSchedule = CONSTANT


PLAIN = UpdateRule()


@dataclass(frozen=True, eq=False)
class WeightUpdate:
    """Applies gradients; call it on every replica.

    Attributes:
        siamese: Model and optimizer.
        rule: What is done besides.
    """

    siamese: Siamese
    rule: UpdateRule

    @property
    def _optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer without loss scaling."""
        optimizer = self.siamese.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)

    def __call__(self, gradients: Sequence[tf.Tensor]) -> None:
        """Takes one step; with loss scaling, none if a gradient is not finite.

        Args:
            gradients: float32, one per trainable variable, of `optimizer.scale_loss(loss)`, the
                sum over all replicas and thus the same on each.
        """
        replica = tf.distribute.get_replica_context()
        scaler = self.siamese.optimizer
        if not isinstance(scaler, keras.optimizers.LossScaleOptimizer):
            replica.merge_call(self._apply, args=(*self._prepared(gradients),))
            return
        is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(one)) for one in gradients])
        scale = tf.convert_to_tensor(scaler.dynamic_scale)
        unscaled = [gradient / scale for gradient in gradients]
        replica.merge_call(self._apply_if, args=(is_finite, *self._prepared(unscaled)))

    def _prepared(self, gradients: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], Any, Any]:
        """The clipped gradients, the learning rate and the share of the moving average."""
        step = tf.convert_to_tensor(self._optimizer.iterations)
        rate = self.rule.schedule.rate_of(self._optimizer, step=step)
        clipped = list(gradients)
        if self.rule.clip_norm is not None:
            clipped = clip_by_norm(gradients, limit=self.rule.clip_norm)
        averages = self.siamese.averages
        return clipped, rate, averages.share_of_weights(step) if averages else 0.0

    def _apply_if(
        self, strategy: tf.distribute.Strategy, is_finite: Any, *prepared: Any
    ) -> None:
        """Applies gradients that are finite, and adapts the scale of the loss.

        As in `keras.optimizers.LossScaleOptimizer`: the scale is halved when a gradient
        overflows, and doubled after `dynamic_growth_steps` in a row without one.
        """
        scaler = self.siamese.optimizer

        def apply() -> None:
            self._apply(strategy, *prepared)
            count = scaler.step_counter + 1
            is_due = count == scaler.dynamic_growth_steps
            scaler.dynamic_scale.assign(scaler.dynamic_scale * tf.where(is_due, 2.0, 1.0))
            scaler.step_counter.assign(tf.where(is_due, tf.zeros_like(count), count))

        def skip() -> None:
            scaler.dynamic_scale.assign(scaler.dynamic_scale * 0.5)
            scaler.step_counter.assign(0)

        # Every replica has the same sum, so the first one decides for all.
        tf.cond(strategy.experimental_local_results(is_finite)[0], apply, skip)

    def _apply(
        self, strategy: tf.distribute.Strategy, gradients: Any, rate: Any, share: Any
    ) -> None:
        optimizer, averages = self._optimizer, self.siamese.averages
        decay = getattr(optimizer, "weight_decay", None)
        weights = self.siamese.scorer.trainable_variables
        for number, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            average = averages.variables[number].value if averages else None
            shrinks = decay is not None and decays(weight)
            strategy.extended.update(
                weight.value,
                self._update_one,
                args=(gradient, rate, decay if shrinks else None, average, share),
                group=False,
            )
        optimizer.iterations.assign_add(1)

    def _update_one(
        self,
        weight: tf.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
        decay: float | None,
        average: tf.Variable | None,
        share: Any,
    ) -> None:
        """Updates the copy of a weight on one device.

        Source of the decay: Loshchilov and Hutter 2019, algorithm 2, line 12, where lambda is
        the learning rate times `decay`, as in Keras and PyTorch.
        """
        if decay is not None:
            weight.assign_sub(weight * (rate * decay))
        self._optimizer.update_step(gradient, weight, rate)
        if average is not None:
            average.assign_add((weight - average) * share)


def clip_by_norm(gradients: Sequence[tf.Tensor], *, limit: float) -> list[tf.Tensor]:
    """Scales gradients down to a norm, all by the same factor.

    Args:
        gradients: float32, of any shapes.
        limit: Largest norm of all of them together, > 0.

    Returns:
        The same bits if the norm is at most `limit`. NaN if it is not finite.

    Source: Pascanu, Mikolov, Bengio 2013, algorithm 1.
    """
    norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(one)) for one in gradients]))
    # x / x is 1. Infinity divided by itself is NaN, so an overflow does not go unnoticed.
    factor = tf.where(tf.math.is_finite(norm), limit, norm) / tf.maximum(norm, limit)
    return [gradient * factor for gradient in gradients]
