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
from job.errors import ConfigError
from job.models.siamese import Siamese
from job.training.gradients import ReplicaStep


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
        self._replica = ReplicaStep(siamese, global_batch_size)
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
        items = [batch.items.reshape(-1, *batch.items.shape[2:]) for batch in batches]
        length = np.array([batch.items.shape[1] for batch in batches], np.int32)
        names = ("label", "left_item", "right_item", "left_class", "right_class")
        stacked = (np.stack([getattr(batch, name) for batch in batches]) for name in names)
        loss, correct = self._steps(
            *map(tf.constant, (np.concatenate(items), length, *stacked))
        )
        return StepResults(loss.numpy(), correct.numpy())

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
            # The same on every replica.
            local = self._strategy.experimental_local_results
            losses = losses.write(k, local(loss)[0])
            corrects = corrects.write(k, local(correct)[0])
        return losses.stack(), corrects.stack()

    def _own_rows(self, batch: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        start = context.replica_id_in_sync_group * self._rows
        rows = batch[start : start + self._rows]
        return tf.ensure_shape(rows, (self._rows, *batch.shape[1:]))

    def _replica_step(
        self, left_B: tf.Tensor, right_B: tf.Tensor, label_B: tf.Tensor, *numbers_B: tf.Tensor
    ) -> tuple[Any, Any]:
        left, right = self._own_rows(left_B), self._own_rows(right_B)

        def embed(first: Any, size: int) -> tuple[Any, Any]:
            sides = (side[first : first + size] for side in (left, right))
            shape = (size, *self._siamese.item.shape)
            u, v = (tf.ensure_shape(side, shape) for side in sides)
            return self._siamese.embed_sides(u, v, training=True)

        return self._replica(embed, *map(self._own_rows, (label_B, *numbers_B)))
