"""Losses: from a batch of pairs to one unreduced loss per pair. B pairs.

The mean is the sum over all replicas divided by the global batch size::

    loss = build_loss(training.loss, head="cosine")
    loss_B = loss.of(batch, gather=no_gather)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from job.config.losses import (
    BinaryCrossentropyConfig,
    CircleConfig,
    ContrastiveConfig,
    Loss,
    MultipleNegativesConfig,
    OnlineContrastiveConfig,
    TripletConfig,
)
from job.models.distances import DISTANCES
from job.models.losses.in_batch import (
    circle,
    online_contrastive,
    triplet_batch_hard,
    triplet_semi_hard,
)
from job.models.losses.info_nce import multiple_negatives
from job.models.losses.pairwise import (
    binary_crossentropy,
    contrastive,
    weighted_binary_crossentropy,
)

PairLoss = Callable[..., Any]


@dataclass(frozen=True)
class BatchLoss:
    """A loss, ready to be computed.

    Attributes:
        of: From a `PairBatch` and `gather` to float32 (B,), one loss per pair.
        is_in_batch: Whether the loss of a pair depends on the rest of the global batch.
        bytes_per_comparison: Memory that `of` needs for every combination of an own pair and
            a pair of the global batch; 0 if it holds no table of them.
    """

    of: PairLoss
    is_in_batch: bool
    bytes_per_comparison: int = 0


def _binary_crossentropy(section: BinaryCrossentropyConfig, *, head: str) -> PairLoss:
    weight, smoothing = section.positive_weight, section.label_smoothing
    if weight == 1.0 and smoothing == 0.0:
        return lambda batch, *, gather: binary_crossentropy(batch.label_B, batch.logit_B)
    return lambda batch, *, gather: weighted_binary_crossentropy(
        batch.label_B, batch.logit_B, positive_weight=weight, label_smoothing=smoothing
    )


def _contrastive(section: ContrastiveConfig, *, head: str) -> PairLoss:
    distance = DISTANCES[head]
    return lambda batch, *, gather: contrastive(
        batch.label_B, distance.pairs(batch.left_BD, batch.right_BD), margin=section.margin
    )


def _online_contrastive(section: OnlineContrastiveConfig, *, head: str) -> PairLoss:
    return lambda batch, *, gather: online_contrastive(
        batch, gather=gather, distance=DISTANCES[head], margin=section.margin
    )


_MINING = {"batch_hard": triplet_batch_hard, "semi_hard": triplet_semi_hard}


def _triplet(section: TripletConfig, *, head: str) -> PairLoss:
    mined = _MINING[section.mining]
    return lambda batch, *, gather: mined(
        batch, gather=gather, distance=DISTANCES[head], margin=section.margin
    )


def _multiple_negatives(section: MultipleNegativesConfig, *, head: str) -> PairLoss:
    return lambda batch, *, gather: multiple_negatives(
        batch,
        gather=gather,
        head=head,
        temperature=section.temperature,
        symmetric=section.symmetric,
    )


def _circle(section: CircleConfig, *, head: str) -> PairLoss:
    return lambda batch, *, gather: circle(
        batch, gather=gather, margin=section.margin, gamma=section.gamma
    )


LOSSES: dict[str, Callable[..., PairLoss]] = {
    "binary_crossentropy": _binary_crossentropy,
    "contrastive": _contrastive,
    "online_contrastive": _online_contrastive,
    "triplet": _triplet,
    "multiple_negatives": _multiple_negatives,
    "circle": _circle,
}

# Peak memory of a batch over the square of its size, measured without gradients and rounded up.
# Triplets and circle compare both items of a pair with both of the other.
_BYTES_PER_COMPARISON = {"triplet": 160, "multiple_negatives": 60, "circle": 90}


def build_loss(section: Loss, *, head: str) -> BatchLoss:
    """Builds the configured loss.

    Args:
        section: Kind and options.
        head: Kind of the head, which defines the distance of two embeddings. It must be one
            that the loss trains; `config.compatibility` checks that.
    """
    return BatchLoss(
        LOSSES[section.kind](section, head=head),
        section.is_in_batch,
        _BYTES_PER_COMPARISON.get(section.kind, 0),
    )
