"""Which encoder, head, loss and data go together: the tables, and the checks that read them.

`docs/models.md` shows the tables, and a test compares the two. The checks are pure::

    complaints(model, training=training, data=data, monitors={})  # [] when all fit
"""

from collections.abc import Mapping
from dataclasses import dataclass

from job.config.data import Data, ImageDataConfig
from job.config.losses import ContrastiveConfig, OnlineContrastiveConfig, TripletConfig
from job.config.model import CnnConfig, LstmConfig, ModelConfig
from job.config.sampling import ClassSamplingConfig
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
        needs_negatives: It learns nothing from pairs that all match.
    """

    is_in_batch: bool
    needs_classes: bool
    needs_negatives: bool


@dataclass(frozen=True)
class EncoderTraits:
    """What an encoder takes.

    Attributes:
        kinds: Kinds of items.
        min_size: Smallest `data.size` of pictures; 0 where there is none.
    """

    kinds: tuple[str, ...]
    min_size: int = 0


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
    "binary_crossentropy": LossTraits(False, needs_classes=False, needs_negatives=True),
    "contrastive": LossTraits(False, needs_classes=False, needs_negatives=True),
    "online_contrastive": LossTraits(True, needs_classes=False, needs_negatives=True),
    "triplet": LossTraits(True, needs_classes=True, needs_negatives=False),
    "multiple_negatives": LossTraits(True, needs_classes=False, needs_negatives=False),
    "circle": LossTraits(True, needs_classes=True, needs_negatives=False),
}

ENCODERS: dict[str, EncoderTraits] = {
    "lstm": EncoderTraits(("text", "sequence")),
    "cnn": EncoderTraits(("image",), min_size=8),
    "xception": EncoderTraits(("image",), min_size=71),
}


@dataclass(frozen=True)
class Conflict:
    """Two settings that do not go together.

    Attributes:
        path: The key to blame.
        text: What was received, what is allowed, what to do.
    """

    path: tuple[str, ...]
    text: str


class IncompatibleError(ValueError):
    """Settings of several sections do not go together; pydantic carries it to `problems`."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__("; ".join(complaint.text for complaint in conflicts))
        self.conflicts = conflicts


def conflicts(
    model: ModelConfig,
    *,
    training: TrainingConfig,
    data: Data,
    monitors: Mapping[tuple[str, ...], str],
) -> list[Conflict]:
    """Checks encoder, head, loss, data and monitors against each other.

    Args:
        model: Names encoder and head.
        training: Names the loss and the batch.
        data: Says what an item is and where pairs come from.
        monitors: What callbacks and the best checkpoint follow, by the key that says so.

    Returns:
        One complaint for each setting that has to change; empty when all fit.
    """
    found = [
        _encoder_and_kind(model, data),
        _size(model, data),
        _embedding_size(model, data),
        _head_and_loss(model, training),
        _classes(training, has_classes=data.has_classes),
        _only_matches(training, data),
        _whole_classes(training, data),
        _buckets(training, data),
        _batch_of_one(training),
        _margin(model, training),
        *(_accuracy(training, path, monitor) for path, monitor in monitors.items()),
    ]
    return [complaint for complaint in found if complaint is not None]


def _encoder_and_kind(model: ModelConfig, data: Data) -> Conflict | None:
    encoder, kind = model.encoder.kind, data.kind
    if kind in ENCODERS[encoder].kinds:
        return None
    fitting = " or ".join(name for name, traits in ENCODERS.items() if kind in traits.kinds)
    text = (
        f"{encoder} takes data.kind: {' or '.join(ENCODERS[encoder].kinds)} (got {kind}). For "
        f"{kind} set it to {fitting}"
    )
    return Conflict(("model", "encoder", "kind"), text)


def _size(model: ModelConfig, data: Data) -> Conflict | None:
    encoder = model.encoder
    if not isinstance(data, ImageDataConfig) or data.kind not in ENCODERS[encoder.kind].kinds:
        return None
    least, why = ENCODERS[encoder.kind].min_size, ""
    if isinstance(encoder, CnnConfig) and 2 ** len(encoder.filters) > least:
        least = 2 ** len(encoder.filters)
        why = f", whose {len(encoder.filters)} filters halve a picture as many times"
    if data.size >= least:
        return None
    text = (
        f"must be at least {least} for model.encoder.kind: {encoder.kind}{why} (got "
        f"{data.size}). Raise it, or take another encoder"
    )
    return Conflict(("data", "size"), text)


def _embedding_size(model: ModelConfig, data: Data) -> Conflict | None:
    encoder = model.encoder
    default = LstmConfig.model_fields["embedding_size"].default
    if data.kind != "sequence" or not isinstance(encoder, LstmConfig):
        return None
    if encoder.embedding_size == default:
        return None
    text = (
        "has no effect on data.kind: sequence, whose items are vectors already (got "
        f"{encoder.embedding_size}). Leave it out; `units` decides the size of the embedding"
    )
    return Conflict(("model", "encoder", "embedding_size"), text)


def _head_and_loss(model: ModelConfig, training: TrainingConfig) -> Conflict | None:
    head, loss = model.head.kind, training.loss.kind
    if loss in HEADS[head].losses:
        return None
    heads = " or ".join(kind for kind, traits in HEADS.items() if loss in traits.losses)
    text = (
        f"{loss} trains the embeddings through model.head.kind: {heads} (got {head}). Set "
        "model.head.kind to that, or take the loss binary_crossentropy, which trains any head"
    )
    return Conflict(("training", "loss", "kind"), text)


def _classes(training: TrainingConfig, *, has_classes: bool) -> Conflict | None:
    loss = training.loss.kind
    if has_classes or not LOSSES[loss].needs_classes:
        return None
    free = ", ".join(kind for kind, traits in LOSSES.items() if not traits.needs_classes)
    text = (
        f"{loss} compares items by their class, and pair files name none (got {loss}). Use "
        f"data that give each item a class, or one of {free}"
    )
    return Conflict(("training", "loss", "kind"), text)


def _only_matches(training: TrainingConfig, data: Data) -> Conflict | None:
    loss = training.loss.kind
    if not isinstance(data.sampling, ClassSamplingConfig) or not LOSSES[loss].needs_negatives:
        return None
    fitting = ", ".join(kind for kind, traits in LOSSES.items() if not traits.needs_negatives)
    text = (
        f"{loss} learns from pairs that match and pairs that do not, and data.sampling.kind: "
        f"classes draws only the former (got {loss}). Set data.sampling.kind to pairs, or use "
        f"one of {fitting}"
    )
    return Conflict(("training", "loss", "kind"), text)


def _whole_classes(training: TrainingConfig, data: Data) -> Conflict | None:
    sampling = data.sampling
    if not isinstance(sampling, ClassSamplingConfig):
        return None
    items = 2 * training.global_batch_size
    per_class = sampling.items_per_class
    if items % per_class == 0 and items > per_class:
        return None
    text = (
        f"must divide 2 * training.global_batch_size = {items} at least twice, so that a "
        f"batch holds whole classes and more than one (got {per_class}). Choose a divisor, or "
        "another batch size"
    )
    return Conflict(("data", "sampling", "items_per_class"), text)


def _buckets(training: TrainingConfig, data: Data) -> Conflict | None:
    if training.bucket_window_batches == 1:
        return None
    if data.kind == "image":
        why = "has no effect on data.kind: image, whose items are all of one length"
    elif isinstance(data.sampling, ClassSamplingConfig):
        why = (
            "would take the batches of data.sampling.kind: classes apart, which hold whole "
            "classes and no item twice"
        )
    else:
        return None
    text = f"{why} (got {training.bucket_window_batches}). Leave it out"
    return Conflict(("training", "bucket_window_batches"), text)


def _batch_of_one(training: TrainingConfig) -> Conflict | None:
    loss = training.loss.kind
    if training.global_batch_size > 1 or not LOSSES[loss].is_in_batch:
        return None
    text = (
        f"must be at least 2 for training.loss.kind: {loss}, which compares the pairs of a "
        "batch (got 1). Raise it; several hundred are usual"
    )
    return Conflict(("training", "global_batch_size"), text)


def _accuracy(training: TrainingConfig, path: tuple[str, ...], monitor: str) -> Conflict | None:
    loss = training.loss.kind
    if loss in _ON_LOGITS or not monitor.endswith("accuracy"):
        return None
    text = (
        f"accuracy counts scores of at least 0.5, and training.loss.kind: {loss} trains the "
        f"embeddings and leaves scores at any height (got {monitor}). Take val_roc_auc, which "
        "looks at their order alone"
    )
    return Conflict(path, text)


def _margin(model: ModelConfig, training: TrainingConfig) -> Conflict | None:
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
    return Conflict(("training", "loss", "margin"), text)
