"""One optimizer step on one replica. b pairs of this replica, B of all, D embedding size.

Every replica computes its share of the gradient; one reduction adds up the shares of all
replicas, together with loss and accuracy; then every replica makes the same update. `step.py`
says which pairs a replica has::

    step = ReplicaStep(siamese, global_batch_size=256)
    loss, correct = step(embed, label_b, *numbers_b)  # under strategy.run
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from job.models.losses.pair_batch import Gather, PairBatch, no_gather
from job.models.siamese import Siamese
from job.training.weight_update import WeightUpdate


class Embed(Protocol):
    """Encodes pairs of this replica as training does, with dropout."""

    def __call__(self, first: Any, size: int) -> tuple[Any, Any]:
        """Encodes the pairs `first` to `first + size`.

        Args:
            first: int or int32 (), in [0, b).
            size: How many, so that its results have a static shape.

        Returns:
            Two float32 (size, D), for the left and the right items.
        """


@dataclass(frozen=True)
class _Share:
    """What one replica contributes to a step.

    Attributes:
        gradients: One float32 tensor for each trainable variable, of the scaled loss.
        loss: float32 (), the sum over the replica's pairs divided by B.
        correct: float32 (), the replica's pairs on the correct side of score 0.5.
    """

    gradients: list[Any]
    loss: Any
    correct: Any

    def summed(self) -> "_Share":
        """The sum over all replicas, in one collective; the same on each replica."""
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync == 1:
            return self
        # TensorFlow packs the tensors of one call into one vector.
        *gradients, loss, correct = replica.all_reduce(
            tf.distribute.ReduceOp.SUM, [*self.gradients, self.loss, self.correct]
        )
        return _Share(gradients, loss, correct)


@dataclass(frozen=True, eq=False)
class ReplicaStep:
    """Takes optimizer steps; call it on every replica.

    Attributes:
        siamese: Model, loss and optimizer.
        global_batch_size: B.
    """

    siamese: Siamese
    global_batch_size: int

    def __call__(
        self, embed: Embed, label_b: tf.Tensor, *numbers_b: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes one step.

        Args:
            embed: Encodes the pairs of this replica.
            label_b: float32 (b,), 1.0 = match, 0.0 = no match.
            *numbers_b: int64 (b,) each: left and right item, left and right class, as in
                `PairBatch`.

        Returns:
            float32 () each, before the update and the same on each replica: the mean loss of
            the global batch, and how many of its pairs were on the correct side of score 0.5.
        """
        siamese = self.siamese
        share = self._share(embed, label_b, *numbers_b).summed()
        update = WeightUpdate(siamese.optimizer, siamese.scorer.trainable_variables)
        update(share.gradients)
        return share.loss, share.correct

    def _share(self, embed: Embed, label_b: tf.Tensor, *numbers_b: tf.Tensor) -> _Share:
        siamese = self.siamese
        with tf.GradientTape() as tape:
            u_bD, v_bD = embed(0, label_b.shape[0])
            logit_b = siamese.head([u_bD, v_bD], training=True)[:, 0]
            loss_b = siamese.loss.of(
                PairBatch(label_b, logit_b, u_bD, v_bD, *numbers_b), gather=self._gather()
            )
            # Dividing by the global batch makes the sum over replicas its mean.
            loss = tf.reduce_sum(loss_b) / self.global_batch_size
            scaled = siamese.optimizer.scale_loss(loss)
        variables = siamese.scorer.trainable_variables
        gradients = _dense(tape.gradient(scaled, variables), variables)
        is_correct_b = (logit_b >= 0.0) == (label_b >= 0.5)
        return _Share(gradients, loss, tf.reduce_sum(tf.cast(is_correct_b, tf.float32)))

    def _gather(self) -> Gather:
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync == 1:
            return no_gather

        def gather(rows: tf.Tensor) -> tf.Tensor:
            gathered = replica.all_gather(rows, axis=0)
            return tf.ensure_shape(gathered, [self.global_batch_size, *rows.shape[1:]])

        return gather


def _dense(gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """Each gradient as a dense tensor of its variable's shape.

    A loss on the embeddings has no gradient for the head's weights: they do not change.

    The gradient of an embedding table consists of the rows that were looked up, with repeats.
    Keras 3.15's Adam squares such rows one by one, where the square of their sum is correct.
    Replicas would also gather a different number of rows in each step, but TensorFlow 2.21
    allows only one shape per collective operation within a call.
    """
    return [
        tf.zeros(variable.shape, variable.dtype)
        if gradient is None
        else _summed(gradient)
        if isinstance(gradient, tf.IndexedSlices)
        else gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def _summed(rows: tf.IndexedSlices) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(rows.values, rows.indices, rows.dense_shape[0])
