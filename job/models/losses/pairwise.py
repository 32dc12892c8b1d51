"""Losses of one pair at a time. B pairs, D embedding size."""

from typing import Any

from keras import ops


def binary_crossentropy(label_B: Any, logit_B: Any) -> Any:
    """Negative log-likelihood of the label under the score sigmoid(logit).

    Use when pairs are labelled and the score should be a probability.

    Args:
        label_B: float32 (B,), 1.0 = match, 0.0 = no match.
        logit_B: float32 (B,), any real number.

    Returns:
        float32 (B,), >= 0, finite for every finite logit.

    Source: max(x, 0) - x * y + log(1 + exp(-|x|)), the stable form of
    -y log s(x) - (1 - y) log(1 - s(x)), derived in the TensorFlow API page of
    `sigmoid_cross_entropy_with_logits`.
    """
    return ops.relu(logit_B) - logit_B * label_B + ops.log1p(ops.exp(-ops.abs(logit_B)))


def weighted_binary_crossentropy(
    label_B: Any, logit_B: Any, *, positive_weight: float, label_smoothing: float
) -> Any:
    """Binary cross-entropy with smoothed labels and a weight for matching pairs.

    Use when matching pairs are rare, or some labels are wrong.

    Args:
        label_B: float32 (B,), 1.0 = match, 0.0 = no match.
        logit_B: float32 (B,), any real number.
        positive_weight: Weight of a matching pair, > 0.
        label_smoothing: Share s of the label replaced by 1/2, in [0, 1).

    Returns:
        float32 (B,), >= 0.

    Source: Szegedy et al. 2016, section 7: y' = (1 - s) y + s / 2 for two classes.
    """
    target_B = label_B * (1.0 - label_smoothing) + 0.5 * label_smoothing
    weight_B = 1.0 + (positive_weight - 1.0) * label_B
    return weight_B * binary_crossentropy(target_B, logit_B)


def contrastive(label_B: Any, distance_B: Any, *, margin: float) -> Any:
    """Pulls matching pairs together and pushes the others `margin` apart.

    Use when pairs are labelled and embeddings go into a nearest-neighbour index.

    Args:
        label_B: float32 (B,), 1.0 = match, 0.0 = no match.
        distance_B: float32 (B,), >= 0.
        margin: Distance from which a pair that does not match costs nothing; in the unit
            of `distance_B`.

    Returns:
        float32 (B,), >= 0.

    Source: Hadsell, Chopra, LeCun 2006, eq. 4 (their Y is 1 - label, their 1/2 dropped;
    with the head `cosine` their D_W is 1 - cos).
    """
    gap_B = ops.relu(margin - distance_B)
    return label_B * ops.square(distance_B) + (1.0 - label_B) * ops.square(gap_B)
