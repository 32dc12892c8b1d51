"""K optimizer steps in one `tf.function`. K steps, B pairs, T time, D embedding.

The loop over steps is inside the graph and around `strategy.run`: an optimizer may not merge
replicas inside a graph loop. Every replica takes its own rows of the global batch, so the
result only depends on the global batch. Each replica pads its items itself, in each step, so
the result does not depend on which batches share a call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.config.distribution import Compression
from job.data.pipeline.batches import PairArrays
from job.errors import ConfigError
from job.models.siamese import Siamese
from job.training.gradients import ReplicaStep, num_micro_batches
from job.training.item_tensors import (
    ItemTensors,
    StoredItems,
    prepared_values,
    stored_items,
)
from job.training.weight_update import PLAIN, UpdateRule


@dataclass(frozen=True)
class StepResults:
    """Metrics of K optimizer steps, before their updates.

    Attributes:
        loss: float32 (K,), mean over the global batch of each step.
        correct: float32 (K,), pairs of each global batch on the correct side of score 0.5.
    """

    loss: npt.NDArray[np.float32]
    correct: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PreparedCall:
    """The batches of a call as tensors, on the host or the first device.

    Attributes:
        num_steps: int32 (), K.
        arrays_KB: Label, left item, right item, left class and right class, (K, B) each, or
            more rows if the steps are compiled.
        items: The values of all items of the call and int64 (K, 2B), their lengths. Empty if
            the items are stored on the devices.
    """

    num_steps: tf.Tensor
    arrays_KB: tuple[tf.Tensor, ...]
    items: tuple[tf.Tensor, ...] = ()


@dataclass(frozen=True)
class ItemAccess:
    """How the steps get their items.

    Attributes:
        stored: All items on the devices; None if each batch contains its items.
        length: The number of values of every item; None if they differ.
        merged: Whether both sides of a batch are encoded in one call and padded alike.
    """

    stored: StoredItems | None = None
    length: int | None = None
    merged: bool = True


IN_BATCHES = ItemAccess()


class TrainStep:
    """Runs optimizer steps on blocks of global batches.

    Args:
        siamese: Model, loss and optimizer, built under `strategy`.
        strategy: What the steps run under.
        global_batch_size: B, pairs in a step over all replicas.
        access: How the steps get their items.
        rule: How the weights are updated.
        micro_batch_size: Pairs that a replica encodes at a time; None for all of them.
        compression: How gradients travel between replicas.

    Raises:
        ConfigError: The global batch does not divide by the number of replicas, or the share
            of a replica by that of a micro batch.
    """

    def __init__(
        self,
        siamese: Siamese,
        *,
        strategy: tf.distribute.Strategy,
        global_batch_size: int,
        access: ItemAccess = IN_BATCHES,
        rule: UpdateRule = PLAIN,
        micro_batch_size: int | None = None,
        compression: Compression = "none",
    ) -> None:
        replicas = strategy.num_replicas_in_sync
        if global_batch_size % replicas:
            raise ConfigError(
                f"training.global_batch_size: {global_batch_size} does not divide by the "
                f"{replicas} replicas. Use a multiple of {replicas}, or other "
                "distribution.devices."
            )
        num_micro_batches(global_batch_size // replicas, size=micro_batch_size)
        self._siamese = siamese
        self._replica = ReplicaStep(
            siamese, global_batch_size, rule, micro_batch_size, compression
        )
        self._strategy = strategy
        self._global_batch_size = global_batch_size
        self._rows = global_batch_size // replicas
        self._local_replicas = len(strategy.extended.worker_devices)
        self._access = access
        self._steps: Any = None

    def prepare(self, batches: Sequence[PairArrays]) -> PreparedCall:
        """Joins batches into the argument of a call; it may run in any thread."""
        names = ("label", "left_item", "right_item", "left_class", "right_class")
        arrays = [np.stack([getattr(batch, name) for batch in batches]) for name in names]
        items = [batch.items for batch in batches if batch.items is not None]
        if items:
            # A batch of images is large: a single one is not copied first.
            several = len(items) > 1
            values = (
                np.concatenate([one.values for one in items]) if several else items[0].values
            )
            arrays += [np.stack([one.lengths for one in items]), values]
        tensors = tuple(map(tf.constant, arrays))
        return PreparedCall(tf.constant(len(batches)), tensors[:5], tensors[5:])

    def __call__(self, call: PreparedCall) -> StepResults:
        """Takes one optimizer step for each batch, in order."""
        if self._steps is None:
            self._steps = self._traceable(call)
        num_steps = int(call.num_steps)
        loss, correct = self._steps(call.num_steps, *call.arrays_KB, *call.items)
        return StepResults(loss.numpy()[:num_steps], correct.numpy()[:num_steps])

    @property
    def num_traces(self) -> int:
        """How often the step was traced; 1 after the first call."""
        return 0 if self._steps is None else self._steps.experimental_get_tracing_count()

    def _traceable(self, call: PreparedCall) -> Any:
        """The steps as a function that is traced once, whatever K and the lengths are."""
        signature = [
            tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)
            for tensor in (*call.arrays_KB, *call.items)
        ]
        return tf.function(
            self._run_steps,
            input_signature=[tf.TensorSpec((), tf.int32), *signature],
            autograph=False,  # converting the functions of a step takes longer than tracing
        )

    def _run_steps(
        self, num_steps: tf.Tensor, label_KB: tf.Tensor, *arrays: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        numbers_KB, stored = arrays[:4], self._access.stored
        if stored is not None:
            return self._loop(num_steps, lambda _: stored.per_replica, label_KB, *numbers_KB)
        length_K2B, values_V = arrays[4:]
        values_V = prepared_values(values_V, item=self._siamese.item)
        ends = tf.cumsum(tf.reshape(length_K2B, (-1,)))
        start_K2B = tf.reshape(ends, tf.shape(length_K2B)) - length_K2B
        return self._loop(
            num_steps,
            lambda k: (values_V, start_K2B[k], length_K2B[k]),
            label_KB,
            *numbers_KB,
        )

    def _loop(
        self,
        num_steps: tf.Tensor,
        items_of: Callable[[tf.Tensor], Any],
        label_KB: tf.Tensor,
        *numbers_KB: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Loss and correct pairs of each step, float32 (K,); `items_of` gives its items."""

        def take(k: tf.Tensor, *results: tf.TensorArray) -> tuple[Any, ...]:
            numbers_B = [number_KB[k] for number_KB in numbers_KB]
            found = self._strategy.run(
                self._replica_step, args=(items_of(k), label_KB[k], *numbers_B)
            )
            # The same on every replica.
            local = self._strategy.experimental_local_results
            return k + 1, *(
                result.write(k, local(one)[0])
                for result, one in zip(results, found, strict=True)
            )

        results = [tf.TensorArray(tf.float32, num_steps) for _ in ("loss", "correct")]
        _, loss, correct = tf.while_loop(lambda k, *_: k < num_steps, take, [0, *results])
        return loss.stack(), correct.stack()

    def _replica_step(
        self, items: Any, label_B: tf.Tensor, *numbers_B: tf.Tensor
    ) -> tuple[Any, Any]:
        label_b = self._own_rows(label_B)
        numbers_b = [self._own_rows(number_B) for number_B in numbers_B]
        own = self._own_items(items, numbers_b[0], numbers_b[1])
        return self._replica(partial(self._embed, own), label_b, *numbers_b)

    def _own_rows(self, batch: tf.Tensor) -> tf.Tensor:
        """The replica's rows of those of the global batch, or of this worker, (rows, ...)."""
        if batch.shape[0] == self._rows:
            return batch
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        if batch.shape[0] != self._global_batch_size:
            replica %= self._local_replicas
        start = replica * self._rows
        rows = batch[start : start + self._rows]
        return tf.ensure_shape(rows, (self._rows, *batch.shape[1:]))

    def _own_items(self, items: Any, left_b: tf.Tensor, right_b: tf.Tensor) -> Any:
        """The replica's items: those of the left side, then those of the right side."""
        length = self._access.length
        if self._access.stored is not None:
            return stored_items(items, tf.concat([left_b, right_b], axis=0), length=length)

        def own(number_2B: tf.Tensor) -> tf.Tensor:
            sides = tf.split(number_2B, 2)
            return tf.concat([self._own_rows(side_B) for side_B in sides], axis=0)

        values_V, start_2B, length_2B = items
        return ItemTensors(values_V, own(start_2B), own(length_2B), length)

    def _embed(self, items: Any, first: Any, size: int) -> tuple[Any, Any]:
        """Embeddings of `size` pairs from `first` on, float32 (size, D) for each side."""
        siamese, second = self._siamese, self._rows + first
        left, right = items.take(first, size), items.take(second, size)
        if self._access.merged:
            both = items if size == self._rows else left.joined(right)
            return siamese.embed_both(both.padded(siamese.item), training=True)
        padded = (side.padded(siamese.item) for side in (left, right))
        return siamese.embed_sides(*padded, training=True)
