"""Multiple negatives (InfoNCE): items of the other pairs in the batch are the negatives.

Letters: b pairs of this replica, B of all replicas, D embedding size. Queries are items of this
replica, candidates those of all replicas, as in `in_batch`.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from job.models.distances import DISTANCES
from job.models.losses.pair_batch import MASKED, Gather, PairBatch


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of the pairs: embedding (b, D), item (b,), class (b,)."""

    embedding: Any
    item: Any
    class_: Any


def multiple_negatives(
    batch: PairBatch, *, gather: Gather, head: str, temperature: float, symmetric: bool
) -> Any:
    """Cross-entropy of finding the matching right item among those of the global batch.

    The negatives of a matching pair are the right items of all other pairs, matching or not,
    except: the two items of the pair, items of the same known class, and items that match the
    left one in another pair of the batch. Pairs that do not match cost nothing themselves; the
    mean is over all pairs. Use when most pairs match, or items have many classes of few items;
    larger batches give harder comparisons.

    Args:
        batch: Labels, embeddings, item numbers and classes.
        gather: Concatenates the rows of all replicas.
        head: `cosine`: similarity is cos(u, v); `euclidean`: it is -||u - v||.
        temperature: Divisor of the similarities, > 0.
        symmetric: Whether the left item is searched for among the left items, too; the loss
            is then the mean of both directions.

    Returns:
        float32 (b,), >= 0.

    Source: van den Oord, Li, Vinyals 2018, eq. 4; candidates from the batch as in Henderson
    et al. 2017, section 4.4; both directions as in Radford et al. 2021, figure 3. Masking
    candidates that match is not in these papers.
    """
    left, right = _sides(batch)
    whole = batch.gathered(gather)
    all_left, all_right = _sides(whole)
    matches = _Matches.of(whole)
    # 1 - cos instead of -cos: the constant cancels in the cross-entropy.
    distance = DISTANCES[head]
    own_b = -distance.pairs(left.embedding, right.embedding) / temperature

    def find(query: _Side, target: _Side, candidates: _Side) -> Any:
        table_bB = -distance.table(query.embedding, candidates.embedding) / temperature
        negative_bB = _is_negative(query, target, candidates) & ~matches.known(
            query.item, candidates.item
        )
        others_bB = tf.where(negative_bB, table_bB, -MASKED)
        every = tf.concat([own_b[:, None], others_bB], axis=1)
        return tf.reduce_logsumexp(every, axis=1) - own_b

    loss_b = find(left, right, all_right)
    if symmetric:
        loss_b = 0.5 * (loss_b + find(right, left, all_left))
    return loss_b * batch.label_B


def _sides(batch: PairBatch) -> tuple[_Side, _Side]:
    return (
        _Side(batch.left_BD, batch.left_item_B, batch.left_class_B),
        _Side(batch.right_BD, batch.right_item_B, batch.right_class_B),
    )


def _is_negative(query: _Side, target: _Side, candidates: _Side) -> Any:
    """Boolean (b, B): in neither position of the pair, and not of the query's class."""
    is_query_bB = query.item[:, None] == candidates.item[None, :]
    is_target_bB = target.item[:, None] == candidates.item[None, :]
    class_b1 = query.class_[:, None]
    is_same_class_bB = (class_b1 == candidates.class_[None, :]) & (class_b1 >= 0)
    return ~(is_query_bB | is_target_bB | is_same_class_bB)


@dataclass(frozen=True, eq=False)
class _Matches:
    """The matching pairs of the global batch, in both orders, each as one number, sorted."""

    keys: Any
    num_items: Any

    @classmethod
    def of(cls, whole: PairBatch) -> "_Matches":
        left_B, right_B = whole.left_item_B, whole.right_item_B
        num_items = 1 + tf.maximum(tf.reduce_max(left_B), tf.reduce_max(right_B))
        keys = tf.concat([left_B * num_items + right_B, right_B * num_items + left_B], axis=0)
        is_match = tf.concat([whole.label_B, whole.label_B], axis=0) >= 0.5
        return cls(tf.sort(tf.where(is_match, keys, tf.constant(-1, tf.int64))), num_items)

    def known(self, query_b: Any, candidate_B: Any) -> Any:
        """Boolean (b, B): whether some pair of the batch says that the two match."""
        wanted_bB = query_b[:, None] * self.num_items + candidate_B[None, :]
        flat = tf.reshape(wanted_bB, [-1])
        place = tf.minimum(tf.searchsorted(self.keys, flat), tf.size(self.keys) - 1)
        return tf.reshape(tf.gather(self.keys, place) == flat, tf.shape(wanted_bB))
