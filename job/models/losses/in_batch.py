"""Losses that compare a pair with the rest of the global batch, except InfoNCE.

Letters: b pairs of this replica, B of all replicas, a = 2b items of this replica (left, then
right), C = 2B items of all, D embedding size.

Anchors are the items of this replica, candidates those of all replicas: `gather` concatenates
the rows of all replicas, and its gradient sums what every replica contributes to a row. The sum
of a loss over all replicas, and its gradient, therefore do not depend on their number.
"""

from typing import Any

import tensorflow as tf

from job.models.distances import Distance, cosine_table
from job.models.losses.pair_batch import MASKED, Gather, PairBatch
from job.models.losses.pairwise import contrastive


def online_contrastive(
    batch: PairBatch, *, gather: Gather, distance: Distance, margin: float
) -> Any:
    """Contrastive loss of the hard pairs only; the others cost nothing.

    A matching pair is hard if it is further apart than the nearest pair that does not match;
    the latter is hard if it is nearer than the furthest matching pair. If all labels of the
    batch are equal, every pair is hard. Use when `contrastive` learns slowly because most pairs
    are easy.

    Args:
        batch: Labels and embeddings.
        gather: Concatenates the rows of all replicas.
        distance: The distance of the head.
        margin: In the unit of the distance, > 0.

    Returns:
        float32 (b,), >= 0.

    Source: `OnlineContrastiveLoss` of sentence-transformers, which sums over the hard pairs
    (here: their sum over the batch size) and takes the mean of the class itself as the limit
    in a batch of one class.
    """
    distance_b = distance.pairs(batch.left_BD, batch.right_BD)
    distance_B, label_B = tf.unstack(
        gather(tf.stack([distance_b, batch.label_B], axis=1)), axis=1
    )
    nearest_negative = tf.reduce_min(tf.where(label_B < 0.5, distance_B, MASKED))
    furthest_positive = tf.reduce_max(tf.where(label_B >= 0.5, distance_B, -MASKED))
    is_one_class = tf.logical_or(nearest_negative >= MASKED, furthest_positive <= -MASKED)
    # Easy instead of hard pairs are chosen, so that a NaN distance keeps its loss.
    is_easy_b = tf.where(
        batch.label_B >= 0.5, distance_b <= nearest_negative, distance_b >= furthest_positive
    )
    loss_b = contrastive(batch.label_B, distance_b, margin=margin)
    return tf.where(is_easy_b & ~is_one_class, tf.zeros_like(loss_b), loss_b)


def triplet_batch_hard(
    batch: PairBatch, *, gather: Gather, distance: Distance, margin: float
) -> Any:
    """Requires the furthest item of a class to be nearer than the nearest of another class.

    Every item is an anchor. It costs nothing if its class is unknown, or if the batch has no
    other item of its class or none of another class. Use when items have classes and labels
    are clean; early in training the embeddings may collapse.

    Args:
        batch: Embeddings, item numbers and classes.
        gather: Concatenates the rows of all replicas.
        distance: The distance of the head.
        margin: In the unit of the distance, > 0.

    Returns:
        float32 (b,), >= 0, the mean over the two items of each pair.

    Source: Hermans, Beyer, Leibe 2017, eq. 5 (a mean over the items instead of the sum; an
    item that the batch holds twice is not its own positive).
    """
    table_aC, positive_aC, negative_aC = _item_table(batch, gather=gather, table=distance.table)
    furthest_a = tf.reduce_max(tf.where(positive_aC, table_aC, -MASKED), axis=1)
    nearest_a = tf.reduce_min(tf.where(negative_aC, table_aC, MASKED), axis=1)
    is_whole_a = tf.reduce_any(positive_aC, axis=1) & tf.reduce_any(negative_aC, axis=1)
    # The branch of `where` that is not taken is finite, and so is its gradient.
    loss_a = tf.nn.relu(furthest_a - nearest_a + margin)
    return _mean_of_sides(tf.where(is_whole_a, loss_a, tf.zeros_like(loss_a)))


def triplet_semi_hard(
    batch: PairBatch, *, gather: Gather, distance: Distance, margin: float
) -> Any:
    """Requires the nearest negative beyond a positive to be `margin` further away.

    If no item of another class is further away than the positive, the furthest one is taken.
    Use when items have classes; it rarely collapses, unlike `triplet_batch_hard`.

    Args:
        batch: Embeddings, item numbers and classes.
        gather: Concatenates the rows of all replicas.
        distance: The distance of the head.
        margin: In the unit of the distance, > 0.

    Returns:
        float32 (b,), >= 0: the mean over the positives of each item, then over the two items
        of each pair. Items without a triplet cost nothing.

    Source: Schroff, Kalenichenko, Philbin 2015, eq. 4; the furthest negative where there is
    no semi-hard one as in TensorFlow Addons' `triplet_semihard_loss` (distances are not
    squared; the mean is over items, not over all pairs of a class).
    """
    table_aC, positive_aC, negative_aC = _item_table(batch, gather=gather, table=distance.table)
    num_negatives_a1 = tf.reduce_sum(tf.cast(negative_aC, tf.int32), axis=1, keepdims=True)
    # Negatives sorted by distance, then all other items: where a positive would be inserted is
    # the nearest negative beyond it.
    only_negatives_aC = tf.stop_gradient(tf.where(negative_aC, table_aC, MASKED))
    by_distance_aC = tf.argsort(only_negatives_aC, axis=1, stable=True)
    sorted_aC = tf.gather(only_negatives_aC, by_distance_aC, batch_dims=1)
    position_aC = tf.searchsorted(sorted_aC, tf.stop_gradient(table_aC), side="right")
    position_aC = tf.clip_by_value(position_aC, 0, tf.maximum(num_negatives_a1 - 1, 0))
    chosen_aC = tf.gather(by_distance_aC, position_aC, batch_dims=1)
    negative_distance_aC = tf.gather(table_aC, chosen_aC, batch_dims=1)
    loss_aC = tf.nn.relu(table_aC - negative_distance_aC + margin)
    counts_aC = tf.cast(positive_aC & (num_negatives_a1 > 0), tf.float32)
    num_positives_a = tf.maximum(tf.reduce_sum(counts_aC, axis=1), 1.0)
    return _mean_of_sides(tf.reduce_sum(loss_aC * counts_aC, axis=1) / num_positives_a)


def circle(batch: PairBatch, *, gather: Gather, margin: float, gamma: float) -> Any:
    """Weights each cosine by its distance from its optimum.

    Use when items have classes and the head is `cosine`; it needs no mining.

    Args:
        batch: Embeddings, item numbers and classes.
        gather: Concatenates the rows of all replicas.
        margin: m, in [0, 1): cosines should be above 1 - m within a class, below m otherwise.
        gamma: Scale of the weighted cosines, > 0.

    Returns:
        float32 (b,), >= 0, the mean over the two items of each pair. Items without a
        positive or without a negative cost nothing.

    Source: Sun et al. 2020, eq. 5 and 6 with O_p = 1 + m, O_n = -m, delta_p = 1 - m,
    delta_n = m; no gradient flows through the weights, as in Keras' `Circle`.
    """
    cosine_aC, positive_aC, negative_aC = _item_table(batch, gather=gather, table=cosine_table)
    fixed_aC = tf.stop_gradient(cosine_aC)
    to_pull_aC = -gamma * tf.nn.relu(1.0 + margin - fixed_aC) * (cosine_aC - (1.0 - margin))
    to_push_aC = gamma * tf.nn.relu(fixed_aC + margin) * (cosine_aC - margin)
    pull_a = tf.reduce_logsumexp(tf.where(positive_aC, to_pull_aC, -MASKED), axis=1)
    push_a = tf.reduce_logsumexp(tf.where(negative_aC, to_push_aC, -MASKED), axis=1)
    return _mean_of_sides(tf.nn.softplus(pull_a + push_a))


def _item_table(batch: PairBatch, *, gather: Gather, table: Any) -> tuple[Any, Any, Any]:
    """Values, positives and negatives of anchors against candidates, each (a, C).

    A positive is another item of the same known class. An item that the batch holds twice is
    not its own positive.
    """
    anchor_aD, item_a, class_a = _items(batch)
    candidate_CD, item_C, class_C = _items(batch.gathered(gather))
    both_known_aC = (class_a >= 0)[:, None] & (class_C >= 0)[None, :]
    is_same_class_aC = class_a[:, None] == class_C[None, :]
    is_same_item_aC = item_a[:, None] == item_C[None, :]
    positive_aC = both_known_aC & is_same_class_aC & ~is_same_item_aC
    negative_aC = both_known_aC & ~is_same_class_aC
    return table(anchor_aD, candidate_CD), positive_aC, negative_aC


def _items(batch: PairBatch) -> tuple[Any, Any, Any]:
    """Embeddings, rows and classes of the left items, then of the right ones."""
    return (
        tf.concat([batch.left_BD, batch.right_BD], axis=0),
        tf.concat([batch.left_item_B, batch.right_item_B], axis=0),
        tf.concat([batch.left_class_B, batch.right_class_B], axis=0),
    )


def _mean_of_sides(loss_a: Any) -> Any:
    left_b, right_b = tf.split(loss_a, 2)
    return 0.5 * (left_b + right_b)
