"""The input of a loss. b pairs of this replica, B of all replicas, D embedding size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

# Replaces masked values: larger than any distance or logit. Infinity has a NaN gradient.
MASKED = 1e9

# From (b, ...) of this replica to (B, ...) of all replicas, in the order of the replicas.
Gather = Callable[[Any], Any]


def no_gather(rows: Any) -> Any:
    """The `Gather` of a single replica: its rows are all rows."""
    return rows


@dataclass(frozen=True, eq=False)
class PairBatch:
    """The pairs of a batch that one replica holds.

    Attributes:
        label_B: float32 (B,), 1.0 = match, 0.0 = no match.
        logit_B: float32 (B,), from the head.
        left_BD: float32 (B, D), embedding of the first item of each pair.
        right_BD: float32 (B, D), of the second.
        left_item_B: int64 (B,), row of the first item in the dataset, >= 0.
        right_item_B: int64 (B,), of the second.
        left_class_B: int64 (B,), class of the first item; -1 = unknown.
        right_class_B: int64 (B,), of the second.
    """

    label_B: Any
    logit_B: Any
    left_BD: Any
    right_BD: Any
    left_item_B: Any
    right_item_B: Any
    left_class_B: Any
    right_class_B: Any

    def gathered(self, gather: Gather) -> "PairBatch":
        """The pairs of the global batch, without logits, which no loss compares.

        Floats and integers are exchanged in one tensor each: two collectives instead of seven.
        """
        floats = gather(tf.concat([self.left_BD, self.right_BD, self.label_B[:, None]], axis=1))
        size = self.left_BD.shape[-1]
        left_BD, right_BD, label_B1 = tf.split(floats, [size, size, 1], axis=1)
        numbers = (
            self.left_item_B,
            self.right_item_B,
            self.left_class_B,
            self.right_class_B,
        )
        integers = tf.unstack(gather(tf.stack(numbers, axis=1)), axis=1)
        return PairBatch(label_B1[:, 0], None, left_BD, right_BD, *integers)
