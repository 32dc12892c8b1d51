"""Heads in NumPy, collections with copies, and every match by comparing every pair."""

from dataclasses import dataclass

import numpy as np

from job.scoring.copies import RowsOfItems
from job.scoring.decide import Comparison


@dataclass(frozen=True)
class Scores:
    logit: np.ndarray
    score: np.ndarray
    probability: np.ndarray


def scores_of(logit):
    logit = np.asarray(logit, np.float32)
    score = np.float32(1) / (np.float32(1) + np.exp(-logit))
    return Scores(logit, score, score * np.float32(0.5))


def cosine_head(left, right, *, scale=8.0, bias=-4.0):
    u, v = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
        for rows in (left, right)
    )
    return scores_of(np.float32(scale) * np.sum(u * v, axis=1) + np.float32(bias))


def euclidean_head(left, right, *, scale=1.5, bias=4.0):
    distance = np.sqrt(np.sum((left - right) ** 2, axis=1))
    return scores_of(np.float32(bias) - np.float32(scale) * distance)


def one_sided_head(left, right):
    """A head that answers differently if the items are swapped, as `mlp` does."""
    return scores_of(3.0 * np.sum(left * right, axis=1) + left[:, 0] - 4.0)


HEADS = {"cosine": cosine_head, "euclidean": euclidean_head, None: one_sided_head}


def embeddings(num, *, size=6, seed=0):
    return np.random.default_rng(seed).standard_normal((num, size)).astype(np.float32)


def rows_of(num_items, *, num_copies, seed=0):
    """Each item in a row, and some in further rows anywhere behind its first one."""
    random = np.random.default_rng(seed)
    order = list(range(num_items))
    for item in random.integers(0, num_items, num_copies).tolist():
        order.insert(int(random.integers(order.index(item) + 1, len(order) + 1)), item)
    return RowsOfItems.of(np.array(order, np.int64), num_items=num_items)


def comparison(distance, *, is_within, num_copies=0, threshold=0.5, top=None, num_left=60):
    left = embeddings(num_left)
    left_rows = rows_of(num_left, num_copies=num_copies)
    right, right_rows = left, left_rows
    if not is_within:
        right = embeddings(45, seed=1)
        right_rows = rows_of(45, num_copies=num_copies, seed=1)
    return Comparison(HEADS[distance], left, right, left_rows, right_rows, threshold, top)


def item_of_row(rows):
    item = np.empty(len(rows.rows), np.int64)
    item[rows.rows] = np.repeat(np.arange(len(rows.counts)), rows.counts)
    return item


def every_match(compared):
    """(left row, right row) -> score, by comparing each row with each: the slow reference."""
    left_item, right_item = item_of_row(compared.left_rows), item_of_row(compared.right_rows)
    logit_of, score_of = every_item(compared)
    found = {}
    for left in range(len(left_item)):
        of_left = []
        for right in range(len(right_item)):
            if compared.is_within and left == right:
                continue
            one, other = (left_item[left], left), (right_item[right], right)
            is_turned = compared.is_within and one > other
            first, second = (other, one) if is_turned else (one, other)
            score = score_of[first[0], second[0]]
            if score >= np.float32(compared.threshold):
                logit = float(logit_of[first[0], second[0]])
                of_left.append((-logit, right, (first[1], second[1]), float(score)))
        for _, _, pair, score in sorted(of_left)[: compared.top]:
            found[pair] = score
    return found


def every_item(compared):
    """Logits and scores of every left item with every right one."""
    shape = len(compared.left_ND), len(compared.right_MD)
    left, right = (places.ravel() for places in np.indices(shape))
    scores = compared.compare(compared.left_ND[left], compared.right_MD[right])
    return scores.logit.reshape(shape), scores.score.reshape(shape)
