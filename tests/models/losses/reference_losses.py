"""The batch losses once more: slow, one item at a time, in float64, as in the papers."""

import math

import numpy as np


def distance(u, v, *, kind):
    u, v = np.float64(u), np.float64(v)
    if kind == "euclidean":
        return math.sqrt(sum((u - v) ** 2))
    return 1 - sum(u * v) / max(math.sqrt(sum(u * u) * sum(v * v)), 1e-12)


def items_of(batch):
    """(embedding, item, class) of the left items, then of the right ones."""
    left = zip(batch.left_BD, batch.left_item_B, batch.left_class_B, strict=True)
    right = zip(batch.right_BD, batch.right_item_B, batch.right_class_B, strict=True)
    return [*left, *right]


def _per_pair(losses):
    half = len(losses) // 2
    return [(losses[i] + losses[i + half]) / 2 for i in range(half)]


def _positives_and_negatives(anchor, items):
    _, item, class_ = anchor
    known = [other for other in items if other[2] >= 0 and class_ >= 0]
    positives = [other for other in known if other[2] == class_ and other[1] != item]
    return positives, [other for other in known if other[2] != class_]


def online_contrastive(batch, *, kind, margin):
    away = [
        distance(u, v, kind=kind) for u, v in zip(batch.left_BD, batch.right_BD, strict=True)
    ]
    matches = [d for d, label in zip(away, batch.label_B, strict=True) if label == 1]
    others = [d for d, label in zip(away, batch.label_B, strict=True) if label == 0]
    losses = []
    for d, label in zip(away, batch.label_B, strict=True):
        is_hard = d > min(others, default=-1) if label else d < max(matches, default=math.inf)
        loss = d**2 if label else max(margin - d, 0) ** 2
        losses.append(loss if is_hard else 0.0)
    return losses


def triplet(batch, *, kind, margin, mining):
    items = items_of(batch)
    losses = []
    for anchor in items:
        positives, negatives = _positives_and_negatives(anchor, items)
        near = [distance(anchor[0], other[0], kind=kind) for other in positives]
        far = [distance(anchor[0], other[0], kind=kind) for other in negatives]
        if not near or not far:
            losses.append(0.0)
        elif mining == "batch_hard":
            losses.append(max(max(near) - min(far) + margin, 0))
        else:
            chosen = [min((f for f in far if f > n), default=max(far)) for n in near]
            terms = [max(n - f + margin, 0) for n, f in zip(near, chosen, strict=True)]
            losses.append(sum(terms) / len(terms))
    return _per_pair(losses)


def circle(batch, *, margin, gamma):
    items = items_of(batch)
    losses = []
    for anchor in items:
        positives, negatives = _positives_and_negatives(anchor, items)
        pull = push = 0.0
        for other in positives:
            s = 1 - distance(anchor[0], other[0], kind="cosine")
            pull += math.exp(-gamma * max(1 + margin - s, 0) * (s - (1 - margin)))
        for other in negatives:
            s = 1 - distance(anchor[0], other[0], kind="cosine")
            push += math.exp(gamma * max(s + margin, 0) * (s - margin))
        losses.append(math.log(1 + pull * push))
    return _per_pair(losses)


def multiple_negatives(batch, *, kind, temperature, symmetric):
    items = items_of(batch)
    lefts, rights = items[: len(items) // 2], items[len(items) // 2 :]
    matches = {
        frozenset((left[1], right[1]))
        for left, right, label in zip(lefts, rights, batch.label_B, strict=True)
        if label == 1
    }

    def find(query, target, candidates):
        def grade(other):
            return math.exp(-distance(query[0], other[0], kind=kind) / temperature)

        total = grade(target)
        for other in candidates:
            is_either = other[1] in (query[1], target[1])
            is_same_class = other[2] == query[2] >= 0
            if not is_either and not is_same_class and {query[1], other[1]} not in matches:
                total += grade(other)
        return -math.log(grade(target) / total)

    losses = []
    for left, right, label in zip(lefts, rights, batch.label_B, strict=True):
        loss = find(left, right, rights)
        if symmetric:
            loss = (loss + find(right, left, lefts)) / 2
        losses.append(loss * float(label))
    return losses
