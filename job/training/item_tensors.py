"""Items as tensors, padded in the graph. N items, V values, T time steps.

Items come unpadded, one after the other, either with a call or, where they fit, from the device
on which all of them are stored (`StoredItems`)::

    items = ItemTensors(values_V, start_N, length_N)
    encoder(items.padded(siamese.item))
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from job.models.encoders.lstm import PreparedSteps, standardised
from job.preprocessing.ragged import RaggedArray
from job.types import ItemInput


@dataclass(frozen=True, eq=False)
class ItemTensors:
    """Some items among the values of many.

    Attributes:
        values_V: (V, ...), the values of items one after the other, of any type that can be
            cast to that of the encoder's input.
        start_N: int64 (N,), where each item begins.
        length_N: int64 (N,), number of values of each item, >= 1.
        length: The number of values of every item of the dataset; None if they differ.
    """

    values_V: Any
    start_N: Any
    length_N: Any
    length: int | None = None

    def take(self, first: Any, size: int) -> "ItemTensors":
        """`size` items from `first` on, an int or int32 ()."""
        # A slice by two numbers would not tell its size.
        start_N, length_N = (
            tf.slice(number_N, [first], [size]) for number_N in (self.start_N, self.length_N)
        )
        return ItemTensors(self.values_V, start_N, length_N, self.length)

    def joined(self, others: "ItemTensors") -> "ItemTensors":
        """These items, then others among the same values."""
        return ItemTensors(
            self.values_V,
            tf.concat([self.start_N, others.start_N], axis=0),
            tf.concat([self.length_N, others.length_N], axis=0),
            self.length,
        )

    def padded(self, item: ItemInput) -> Any:
        """The items as the input of `Siamese.embed_both`.

        Args:
            item: Describes the encoder's input. Values of sequences are already standardised.

        Returns:
            (N, ...), sequences as `PreparedSteps`; an item with a time axis is padded at the
            end to the longest of them.
        """
        length = item.shape[0] or self.length
        values_NT = self._uniform(length) if length else self._padded()
        if item.kind != "sequence":
            return tf.cast(values_NT, item.dtype)
        if self.length:
            return PreparedSteps(values_NT, None)
        # Behind its end a sequence has values of others; no state that is read depends on them.
        is_step_NT = tf.sequence_mask(self.length_N, tf.shape(values_NT)[1])
        return PreparedSteps(values_NT, is_step_NT)

    def _uniform(self, length: int) -> tf.Tensor:
        """Items of one length, (N, T, ...)."""
        return tf.gather(whole_items(self.values_V, length), self.start_N // length)

    def _padded(self) -> tf.Tensor:
        """Items of any lengths, (N, T, ...); behind the end of numbers there are zeros."""
        step_T = tf.range(tf.reduce_max(self.length_N))
        last = tf.shape(self.values_V, tf.int64)[0] - 1
        values_NT = tf.gather(self.values_V, tf.minimum(self.start_N[:, None] + step_T, last))
        if len(self.values_V.shape) > 1:
            return values_NT
        return tf.where(step_T < self.length_N[:, None], values_NT, 0)


def whole_items(values_V: tf.Tensor, length: int) -> tf.Tensor:
    """Values of items that all have the same length, (number of items, length, ...)."""
    return tf.reshape(values_V, (-1, length, *values_V.shape[1:]))


class StoredItems:
    """Every item of a dataset, on each device of a strategy.

    Args:
        items: The items, as a collator gives them.
        item: Describes the encoder's input.
        strategy: The devices.
    """

    def __init__(
        self, items: RaggedArray, *, item: ItemInput, strategy: tf.distribute.Strategy
    ) -> None:
        self._item = item
        self._devices = strategy.extended.worker_devices
        self._per_replica = strategy.experimental_distribute_values_from_function(
            lambda context: self._on_device(items, context.replica_id_in_sync_group)
        )

    def _on_device(self, items: RaggedArray, replica: int) -> tuple[tf.Tensor, tf.Tensor]:
        # Replicas are numbered over all workers, devices of this one from 0.
        with tf.device(self._devices[replica % len(self._devices)]):
            values_V = tf.constant(np.asarray(items.values))
            return prepared_values(values_V, item=self._item), tf.constant(items.offsets)

    @property
    def per_replica(self) -> Any:
        """An argument of `strategy.run`: (values_V, offsets) of the replica's device."""
        return self._per_replica


def stored_items(
    stored: tuple[tf.Tensor, tf.Tensor], rows_N: tf.Tensor, *, length: int | None
) -> ItemTensors:
    """Some of the items on this replica's device.

    Args:
        stored: Its part of `StoredItems.per_replica`.
        rows_N: int64 (N,), row numbers.
        length: See `ItemTensors`.
    """
    values_V, offsets = stored
    start_N = tf.gather(offsets, rows_N)
    length_N = tf.gather(offsets, rows_N + 1) - start_N
    return ItemTensors(values_V, start_N, length_N, length)


def prepared_values(values_V: tf.Tensor, *, item: ItemInput) -> tf.Tensor:
    """Values as `ItemTensors.padded` takes them: those of sequences are standardised."""
    return standardised(values_V, item=item) if item.kind == "sequence" else values_V
