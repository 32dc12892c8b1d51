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
    """

    values_V: Any
    start_N: Any
    length_N: Any

    def take(self, first: Any, size: int) -> "ItemTensors":
        """`size` items from `first` on, an int or int32 ()."""
        chosen = (number_N[first : first + size] for number_N in (self.start_N, self.length_N))
        return ItemTensors(self.values_V, *(tf.ensure_shape(one, (size,)) for one in chosen))

    def joined(self, others: "ItemTensors") -> "ItemTensors":
        """These items, then others among the same values."""
        return ItemTensors(
            self.values_V,
            tf.concat([self.start_N, others.start_N], axis=0),
            tf.concat([self.length_N, others.length_N], axis=0),
        )

    def padded(self, item: ItemInput) -> Any:
        """The items as the input of `Siamese.embed_both`.

        Args:
            item: Describes the encoder's input. Values of sequences are already standardised.

        Returns:
            (N, ...), sequences as `PreparedSteps`; an item with a time axis is padded at the
            end to the longest of them.
        """
        if item.shape[0] is not None:
            return self._uniform(item)
        longest = tf.reduce_max(self.length_N)
        step_T = tf.range(longest)
        last = tf.shape(self.values_V, tf.int64)[0] - 1
        place_NT = tf.minimum(self.start_N[:, None] + step_T, last)
        values_NT = tf.ensure_shape(tf.gather(self.values_V, place_NT), self._shape(item))
        is_step_NT = step_T < self.length_N[:, None]
        if item.kind == "sequence":
            # Behind its end an item has values of others: no state that is read depends on them.
            return PreparedSteps(values_NT, is_step_NT)
        return tf.where(is_step_NT, tf.cast(values_NT, item.dtype), 0)

    def _uniform(self, item: ItemInput) -> Any:
        """Items of one shape, whose first axis counts their values."""
        items = tf.reshape(self.values_V, (-1, *item.shape))
        chosen = tf.gather(items, self.start_N // item.shape[0])
        return tf.ensure_shape(tf.cast(chosen, item.dtype), self._shape(item))

    def _shape(self, item: ItemInput) -> tuple[int | None, ...]:
        return (self.start_N.shape[0], *item.shape)


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
        with tf.device(self._devices[replica]):
            values_V = tf.constant(np.asarray(items.values))
            return prepared_values(values_V, item=self._item), tf.constant(items.offsets)

    @property
    def per_replica(self) -> Any:
        """An argument of `strategy.run`: (values_V, offsets) of the replica's device."""
        return self._per_replica


def prepared_values(values_V: tf.Tensor, *, item: ItemInput) -> tf.Tensor:
    """Values as `ItemTensors.padded` takes them: those of sequences are standardised."""
    return standardised(values_V, item=item) if item.kind == "sequence" else values_V


def stored_items(stored: tuple[tf.Tensor, tf.Tensor], rows_N: tf.Tensor) -> ItemTensors:
    """Some of the items stored on this replica's device.

    Args:
        stored: Its part of `StoredItems.per_replica`.
        rows_N: int64 (N,), row numbers.
    """
    values_V, offsets = stored
    start_N = tf.gather(offsets, rows_N)
    return ItemTensors(values_V, start_N, tf.gather(offsets, rows_N + 1) - start_N)
