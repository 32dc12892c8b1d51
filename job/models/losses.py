"""Losses: from labels and logits to one unreduced loss per pair. B pairs."""

from collections.abc import Callable
from typing import Any

from keras import ops

from job.config.training import BinaryCrossentropyConfig

PairLoss = Callable[[Any, Any], Any]


def binary_crossentropy(label_B: Any, logit_B: Any) -> Any:
    """Negative log-likelihood of the label under the score sigmoid(logit).

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


LOSSES: dict[str, PairLoss] = {"binary_crossentropy": binary_crossentropy}


def build_loss(section: BinaryCrossentropyConfig) -> PairLoss:
    """The loss that the configuration names."""
    return LOSSES[section.kind]
