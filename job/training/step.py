"""K optimizer steps in one `tf.function`. K steps, B pairs, T time, D embedding.

The loop over steps is inside the graph and around `strategy.run`: an optimizer may not merge
replicas inside a graph loop. Every replica takes its own rows of the global batch, so the
result only depends on the global batch. Each batch is padded separately, so the result does not
depend on which batches share a call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.data.pipeline.batches import PairArrays
from job.data.pipeline.collators import padded
from job.errors import ConfigError
from job.models.losses.pair_batch import PairBatch, no_gather
from job.models.optimizers import apply_gradients
from job.models.siamese import Siamese


@dataclass(frozen=True)
class StepResults:
    """Metrics of K optimizer steps, before their updates.

    Attributes:
        loss: float32 (K,), mean over the global batch of each step.
        correct: float32 (K,), pairs of each global batch on the correct side of score 0.5.
    """

    loss: npt.NDArray[np.float32]
    correct: npt.NDArray[np.float32]


class TrainStep:
    """Runs optimizer steps on blocks of global batches.

    Args:
        siamese: Model, loss and optimizer, built under `strategy`.
        strategy: What the steps run under.
        global_batch_size: B, pairs in a step over all replicas.

    Raises:
        ConfigError: The global batch does not divide by the number of replicas.
    """

    def __init__(
        self, siamese: Siamese, *, strategy: tf.distribute.Strategy, global_batch_size: int
    ) -> None:
        replicas = strategy.num_replicas_in_sync
        if global_batch_size % replicas:
            raise ConfigError(
                f"training.global_batch_size: {global_batch_size} does not divide by the "
                f"{replicas} replicas. Use a multiple of {replicas}, or other "
                "distribution.devices."
            )
        self._siamese = siamese
        self._strategy = strategy
        self._global_batch_size = global_batch_size
        self._rows = global_batch_size // replicas
        # Batches are concatenated: (sum of 2B * T, ...), where T is the first axis of an item;
        # the T of each batch is passed as well.
        axes = siamese.item.shape
        items = tf.TensorSpec((None, *axes[1:]), siamese.item.dtype)
        length = tf.TensorSpec((None,), tf.int32)
        label = tf.TensorSpec((None, global_batch_size), tf.float32)
        number = tf.TensorSpec((None, global_batch_size), tf.int64)
        signature = [items, length, label, number, number, number, number]
        self._steps = tf.function(self._run_steps, input_signature=signature)

    def __call__(self, batches: Sequence[PairArrays]) -> StepResults:
        """Takes one optimizer step for each batch, in order."""
        sides = [self._padded(batch) for batch in batches]
        items = [side.reshape(-1, *side.shape[2:]) for side in sides]
        length = np.array([side.shape[1] for side in sides], np.int32)
        names = ("label", "left_item", "right_item", "left_class", "right_class")
        stacked = (np.stack([getattr(batch, name) for batch in batches]) for name in names)
        loss, correct = self._steps(
            *map(tf.constant, (np.concatenate(items), length, *stacked))
        )
        return StepResults(loss.numpy(), correct.numpy())

    def _padded(self, batch: PairArrays) -> npt.NDArray[np.generic]:
        if batch.items is None:
            raise ValueError("a batch has no items")
        return padded(batch.items, item=self._siamese.item)

    def _run_steps(
        self, items: tf.Tensor, length_K: tf.Tensor, *arrays_KB: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        num_steps = tf.shape(length_K)[0]
        losses = tf.TensorArray(tf.float32, num_steps)
        corrects = tf.TensorArray(tf.float32, num_steps)
        sides_shape = (2, self._global_batch_size, *self._siamese.item.shape)
        begin = 0
        for k in tf.range(num_steps):
            end = begin + 2 * self._global_batch_size * length_K[k]
            shape = (2, self._global_batch_size, length_K[k], *items.shape[1:])
            sides = tf.ensure_shape(tf.reshape(items[begin:end], shape), sides_shape)
            left, right = tf.unstack(sides)
            begin = end
            batch = (left, right, *(array_KB[k] for array_KB in arrays_KB))
            loss, correct = self._strategy.run(self._replica_step, args=batch)
            total = tf.distribute.ReduceOp.SUM
            losses = losses.write(k, self._strategy.reduce(total, loss, axis=None))
            corrects = corrects.write(k, self._strategy.reduce(total, correct, axis=None))
        return losses.stack(), corrects.stack()

    def _own_rows(self, batch: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        start = context.replica_id_in_sync_group * self._rows
        rows = batch[start : start + self._rows]
        return tf.ensure_shape(rows, (self._rows, *batch.shape[1:]))

    def _gather(self, rows: tf.Tensor) -> tf.Tensor:
        if self._strategy.num_replicas_in_sync == 1:
            return no_gather(rows)
        gathered = tf.distribute.get_replica_context().all_gather(rows, axis=0)
        return tf.ensure_shape(gathered, [self._global_batch_size, *rows.shape[1:]])

    def _replica_step(
        self, left_B: tf.Tensor, right_B: tf.Tensor, label_B: tf.Tensor, *numbers_B: tf.Tensor
    ) -> tuple[Any, Any]:
        left, right = self._own_rows(left_B), self._own_rows(right_B)
        label = self._own_rows(label_B)
        numbers = map(self._own_rows, numbers_B)
        siamese = self._siamese
        with tf.GradientTape() as tape:
            u, v = siamese.embed_sides(left, right, training=True)
            logit = siamese.head([u, v], training=True)[:, 0]
            loss_B = siamese.loss.of(
                PairBatch(label, logit, u, v, *numbers), gather=self._gather
            )
            # Dividing by the global batch makes the sum over replicas its mean.
            loss = tf.reduce_sum(loss_B) / self._global_batch_size
            scaled = siamese.optimizer.scale_loss(loss)
        variables = siamese.scorer.trainable_variables
        gradients = _dense(tape.gradient(scaled, variables), variables)
        apply_gradients(siamese.optimizer, gradients, variables)
        correct = tf.reduce_sum(tf.cast((logit >= 0.0) == (label >= 0.5), tf.float32))
        return loss, correct


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
