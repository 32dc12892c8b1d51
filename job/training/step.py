"""The optimizer step, K of them in one `tf.function`. K steps, B pairs, D embedding.

The loop over steps is inside the graph and around `strategy.run`: an optimizer may not merge
replicas inside a graph loop. Every replica takes its own rows of the global batch, so the
result depends on the global batch alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.data.batches import PairBlock
from job.errors import ConfigError
from job.models.siamese import Siamese


@dataclass(frozen=True)
class StepResults:
    """What K optimizer steps measured, before their updates.

    Attributes:
        loss: float32 (K,), mean over the global batch of each step.
        correct: float32 (K,), pairs of each global batch on the right side of score 0.5.
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
        ConfigError: The replicas can not share the global batch equally.
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
        item = siamese.item
        items = tf.TensorSpec((None, global_batch_size, *item.shape), item.dtype)
        label_KB = tf.TensorSpec((None, global_batch_size), tf.float32)
        self._steps = tf.function(self._run_steps, input_signature=[items, items, label_KB])

    def __call__(self, block: PairBlock) -> StepResults:
        """Takes as many optimizer steps as the block holds batches."""
        loss, correct = self._steps(
            tf.constant(block.left), tf.constant(block.right), tf.constant(block.label)
        )
        return StepResults(loss.numpy(), correct.numpy())

    def _run_steps(
        self, left_KB: tf.Tensor, right_KB: tf.Tensor, label_KB: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        num_steps = tf.shape(label_KB)[0]
        losses = tf.TensorArray(tf.float32, num_steps)
        corrects = tf.TensorArray(tf.float32, num_steps)
        for k in tf.range(num_steps):
            batch = (left_KB[k], right_KB[k], label_KB[k])
            loss, correct = self._strategy.run(self._replica_step, args=batch)
            total = tf.distribute.ReduceOp.SUM
            losses = losses.write(k, self._strategy.reduce(total, loss, axis=None))
            corrects = corrects.write(k, self._strategy.reduce(total, correct, axis=None))
        return losses.stack(), corrects.stack()

    def _own_rows(self, batch: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        start = context.replica_id_in_sync_group * self._rows
        return tf.slice(
            batch,
            tf.stack([start] + [0] * (batch.shape.rank - 1)),
            [self._rows] + [-1] * (batch.shape.rank - 1),
        )

    def _replica_step(
        self, left_B: tf.Tensor, right_B: tf.Tensor, label_B: tf.Tensor
    ) -> tuple[Any, Any]:
        left, right = self._own_rows(left_B), self._own_rows(right_B)
        label = self._own_rows(label_B)
        siamese = self._siamese
        with tf.GradientTape() as tape:
            # One encoder call for both items: half the graph, and the same embeddings.
            both = siamese.encoder(tf.concat([left, right], axis=0), training=True)
            u, v = tf.split(both, 2)
            logit = siamese.head([u, v], training=True)[:, 0]
            # Dividing by the global batch makes the sum over replicas its mean.
            loss = tf.reduce_sum(siamese.loss(label, logit)) / self._global_batch_size
        variables = siamese.scorer.trainable_variables
        siamese.optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        correct = tf.reduce_sum(tf.cast((logit >= 0.0) == (label >= 0.5), tf.float32))
        return loss, correct
