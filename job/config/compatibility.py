"""Which head, loss and data go together: one table, and the checks that read it.

`docs/models.md` shows the table, and a test compares the two. The checks are pure::

    complaints(model, training=training, has_classes=False)  # [] when all fit
"""

from dataclasses import dataclass

from job.config.losses import ContrastiveConfig, OnlineContrastiveConfig, TripletConfig
from job.config.model import ModelConfig
from job.config.scalars import shown
from job.config.training import TrainingConfig

# 1 - cos is never larger.
MAX_COSINE_DISTANCE = 2.0


@dataclass(frozen=True)
class HeadTraits:
    """What a head can do.

    Attributes:
        is_symmetric: score(a, b) = score(b, a), to the last bit.
        expresses_similarity: Its logit depends on how the two embeddings relate.
        losses: Kinds of the losses that train it.
    """

    is_symmetric: bool
    expresses_similarity: bool
    losses: tuple[str, ...]


@dataclass(frozen=True)
class LossTraits:
    """What a loss needs.

    Attributes:
        is_in_batch: It compares each pair with others, those of the whole global batch.
        needs_classes: It reads the class of each item.
    """

    is_in_batch: bool
    needs_classes: bool


_ON_LOGITS = ("binary_crossentropy",)
_ON_DISTANCES = ("contrastive", "online_contrastive", "triplet", "multiple_negatives")

HEADS: dict[str, HeadTraits] = {
    "concat": HeadTraits(False, False, _ON_LOGITS),
    "mlp": HeadTraits(False, True, _ON_LOGITS),
    "abs_diff": HeadTraits(True, True, _ON_LOGITS),
    "product": HeadTraits(True, True, _ON_LOGITS),
    "abs_diff_product": HeadTraits(True, True, _ON_LOGITS),
    "cosine": HeadTraits(True, True, (*_ON_LOGITS, *_ON_DISTANCES, "circle")),
    "euclidean": HeadTraits(True, True, (*_ON_LOGITS, *_ON_DISTANCES)),
}

LOSSES: dict[str, LossTraits] = {
    "binary_crossentropy": LossTraits(False, needs_classes=False),
    "contrastive": LossTraits(False, needs_classes=False),
    "online_contrastive": LossTraits(True, needs_classes=False),
    "triplet": LossTraits(True, needs_classes=True),
    "multiple_negatives": LossTraits(True, needs_classes=False),
    "circle": LossTraits(True, needs_classes=True),
}


@dataclass(frozen=True)
class Complaint:
    """Two settings that do not go together.

    Attributes:
        path: The key to blame.
        text: What was received, what is allowed, what to do.
    """

    path: tuple[str, ...]
    text: str


class IncompatibleError(ValueError):
    """Settings of several sections do not go together; pydantic carries it to `problems`."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("; ".join(complaint.text for complaint in complaints))
        self.complaints = complaints


def complaints(
    model: ModelConfig, *, training: TrainingConfig, has_classes: bool
) -> list[Complaint]:
    """Checks head, loss and data against each other.

    Args:
        model: Names the head.
        training: Names the loss and the batch.
        has_classes: Whether the data say which class an item belongs to.

    Returns:
        One complaint for each setting that has to change; empty when all fit.
    """
    found = [
        _head_and_loss(model, training),
        _classes(training, has_classes=has_classes),
        _batch_of_one(training),
        _margin(model, training),
    ]
    return [complaint for complaint in found if complaint is not None]


def _head_and_loss(model: ModelConfig, training: TrainingConfig) -> Complaint | None:
    head, loss = model.head.kind, training.loss.kind
    if loss in HEADS[head].losses:
        return None
    heads = " or ".join(kind for kind, traits in HEADS.items() if loss in traits.losses)
    text = (
        f"{loss} trains the embeddings through model.head.kind: {heads} (got {head}). Set "
        "model.head.kind to that, or take the loss binary_crossentropy, which trains any head"
    )
    return Complaint(("training", "loss", "kind"), text)


def _classes(training: TrainingConfig, *, has_classes: bool) -> Complaint | None:
    loss = training.loss.kind
    if has_classes or not LOSSES[loss].needs_classes:
        return None
    free = ", ".join(kind for kind, traits in LOSSES.items() if not traits.needs_classes)
    text = (
        f"{loss} compares items by their class, and pair files name none (got {loss}). Use "
        f"data that give each item a class, or one of {free}"
    )
    return Complaint(("training", "loss", "kind"), text)


def _batch_of_one(training: TrainingConfig) -> Complaint | None:
    loss = training.loss.kind
    if training.global_batch_size > 1 or not LOSSES[loss].is_in_batch:
        return None
    text = (
        f"must be at least 2 for training.loss.kind: {loss}, which compares the pairs of a "
        "batch (got 1). Raise it; several hundred are usual"
    )
    return Complaint(("training", "global_batch_size"), text)


def _margin(model: ModelConfig, training: TrainingConfig) -> Complaint | None:
    loss = training.loss
    if not isinstance(loss, (ContrastiveConfig, OnlineContrastiveConfig, TripletConfig)):
        return None
    if model.head.kind != "cosine" or loss.margin <= MAX_COSINE_DISTANCE:
        return None
    text = (
        f"must be at most {MAX_COSINE_DISTANCE:g} for model.head.kind: cosine, whose distance "
        f"1 - cos is never larger (got {shown(loss.margin)}). Lower it, or take the head "
        "euclidean"
    )
    return Complaint(("training", "loss", "margin"), text)
