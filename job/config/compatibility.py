"""Checks that encoder, head, loss, data and evaluation go together; pure functions.

The sections of encoders, heads and losses state what each of them needs. `docs/models.md` shows
the same facts as tables, and a test compares the two::

    conflicts(  # [] when all fit
        model, training=training, data=data, evaluation=evaluation, monitors={}
    )
"""

from collections.abc import Mapping
from dataclasses import dataclass

from job.config.data import Data, ImageDataConfig
from job.config.evaluation import EvaluationConfig
from job.config.losses import (
    LOSSES,
    ContrastiveConfig,
    OnlineContrastiveConfig,
    TripletConfig,
)
from job.config.model import ENCODERS, HEADS, CnnConfig, LstmConfig, ModelConfig
from job.config.monitors import RETRIEVAL_METRICS
from job.config.sampling import ClassSamplingConfig
from job.config.scalars import preview
from job.config.training import TrainingConfig

# 1 - cos is never larger.
MAX_COSINE_DISTANCE = 2.0


@dataclass(frozen=True)
class Conflict:
    """Two settings that do not go together.

    Attributes:
        path: The key to change.
        text: What was received, what is allowed, what to do.
    """

    path: tuple[str, ...]
    text: str


class IncompatibleError(ValueError):
    """Settings of several sections conflict; pydantic passes this error on to `problems`."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__("; ".join(conflict.text for conflict in conflicts))
        self.conflicts = conflicts


def conflicts(
    model: ModelConfig,
    *,
    training: TrainingConfig,
    data: Data,
    evaluation: EvaluationConfig,
    monitors: Mapping[tuple[str, ...], str],
) -> list[Conflict]:
    """Checks encoder, head, loss, data, evaluation and monitors against each other.

    Args:
        model: The encoder and the head.
        training: The loss and the batch.
        data: The kind of item and the source of pairs.
        evaluation: Whether there is a search among items.
        monitors: The metrics that callbacks and the best checkpoint monitor, by their key.

    Returns:
        One conflict for each setting that has to change; empty when all fit.
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
        _micro_batch(model, training),
        _margin(model, training),
        _search(model, evaluation),
        *(_accuracy(training, path, monitor) for path, monitor in monitors.items()),
        *(
            _searched(model, evaluation, path, monitor)
            for path, monitor in monitors.items()
            if monitor.removeprefix("val_") in RETRIEVAL_METRICS
        ),
    ]
    return [conflict for conflict in found if conflict is not None]


def _encoder_and_kind(model: ModelConfig, data: Data) -> Conflict | None:
    encoder, kind = model.encoder, data.kind
    if kind in encoder.data_kinds:
        return None
    fitting = [name for name, traits in ENCODERS.items() if kind in traits.data_kinds]
    text = (
        f"{encoder.kind} takes data.kind: {' or '.join(encoder.data_kinds)} (got {kind}). For "
        f"{kind} set it to {' or '.join(fitting)}"
    )
    return Conflict(("model", "encoder", "kind"), text)


def _size(model: ModelConfig, data: Data) -> Conflict | None:
    encoder = model.encoder
    if not isinstance(data, ImageDataConfig) or data.kind not in encoder.data_kinds:
        return None
    least, why = encoder.min_size, ""
    if isinstance(encoder, CnnConfig) and 2 ** len(encoder.filters) > least:
        least = 2 ** len(encoder.filters)
        why = f", whose {len(encoder.filters)} filters each halve an image"
    if data.size >= least:
        return None
    text = (
        f"must be at least {least} for model.encoder.kind: {encoder.kind}{why} (got "
        f"{data.size}). Raise it, or use another encoder"
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
        "has no effect on data.kind: sequence, whose items already are vectors (got "
        f"{encoder.embedding_size}). Leave it out; `units` decides the size of the embedding"
    )
    return Conflict(("model", "encoder", "embedding_size"), text)


def _head_and_loss(model: ModelConfig, training: TrainingConfig) -> Conflict | None:
    head, loss = model.head.kind, training.loss
    if loss.trains(head):
        return None
    heads = " or ".join(kind for kind in HEADS if loss.trains(kind))
    text = (
        f"{loss.kind} trains the embeddings and needs model.head.kind: {heads} (got {head}). "
        "Set model.head.kind to that, or use binary_crossentropy, which trains any head"
    )
    return Conflict(("training", "loss", "kind"), text)


def _classes(training: TrainingConfig, *, has_classes: bool) -> Conflict | None:
    loss = training.loss
    if has_classes or not loss.needs_classes:
        return None
    free = ", ".join(kind for kind, traits in LOSSES.items() if not traits.needs_classes)
    text = (
        f"{loss.kind} compares items by their class, and pair files have no classes (got "
        f"{loss.kind}). Use data with a class for each item, or one of {free}"
    )
    return Conflict(("training", "loss", "kind"), text)


def _only_matches(training: TrainingConfig, data: Data) -> Conflict | None:
    loss = training.loss
    if not isinstance(data.sampling, ClassSamplingConfig) or not loss.needs_negatives:
        return None
    fitting = ", ".join(kind for kind, traits in LOSSES.items() if not traits.needs_negatives)
    text = (
        f"{loss.kind} needs pairs that do not match, and data.sampling.kind: classes draws "
        f"only pairs that match (got {loss.kind}). Set data.sampling.kind to pairs, or use one "
        f"of {fitting}"
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
    if training.bucket_window_batches in (None, 1):
        return None
    if data.kind == "image":
        why = "has no effect on data.kind: image, whose items all have one length"
    elif isinstance(data.sampling, ClassSamplingConfig):
        why = (
            "would break up the batches of data.sampling.kind: classes, which hold whole "
            "classes and no item twice"
        )
    else:
        return None
    text = f"{why} (got {training.bucket_window_batches}). Leave it out"
    return Conflict(("training", "bucket_window_batches"), text)


def _batch_of_one(training: TrainingConfig) -> Conflict | None:
    loss = training.loss
    if training.global_batch_size > 1 or not loss.is_in_batch:
        return None
    text = (
        f"must be at least 2 for training.loss.kind: {loss.kind}, which compares the pairs of "
        "a batch (got 1). Raise it; several hundred are usual"
    )
    return Conflict(("training", "global_batch_size"), text)


def _micro_batch(model: ModelConfig, training: TrainingConfig) -> Conflict | None:
    size, kind = training.per_replica_micro_batch_size, model.encoder.kind
    if size is None:
        return None
    if model.encoder.has_batch_statistics:
        text = (
            f"does not go together with model.encoder.kind: {kind}, which normalises the items "
            "of a batch by their common mean: those of a micro batch are others, and others "
            f"again on another number of replicas (got {size}). Leave it out"
        )
    elif size >= training.global_batch_size:
        text = (
            "must be smaller than training.global_batch_size: "
            f"{training.global_batch_size} to have an effect (got {size}). Lower it, or leave "
            "it out"
        )
    else:
        return None
    return Conflict(("training", "per_replica_micro_batch_size"), text)


def _accuracy(training: TrainingConfig, path: tuple[str, ...], monitor: str) -> Conflict | None:
    if training.loss.trains_scores or not monitor.endswith("accuracy"):
        return None
    text = (
        "accuracy counts scores of at least 0.5, and training.loss.kind: "
        f"{training.loss.kind} trains embeddings, not the level of scores (got {monitor}). Use "
        "val_roc_auc, which depends on the order of scores alone"
    )
    return Conflict(path, text)


def _search(model: ModelConfig, evaluation: EvaluationConfig) -> Conflict | None:
    default = EvaluationConfig.model_fields["retrieval_queries"].default
    if model.head.has_distance or evaluation.retrieval_queries in (0, default):
        return None
    text = (
        f"has no effect on model.head.kind: {model.head.kind}, which has no distance to "
        f"search by (got {evaluation.retrieval_queries}). Leave it out, or use the head "
        f"{_heads_with_distance()}"
    )
    return Conflict(("evaluation", "retrieval_queries"), text)


def _searched(
    model: ModelConfig, evaluation: EvaluationConfig, path: tuple[str, ...], monitor: str
) -> Conflict | None:
    if not model.head.has_distance:
        why = f"model.head.kind: {model.head.kind} has no distance to search by"
        instead = f"Use the head {_heads_with_distance()}"
    elif evaluation.retrieval_queries == 0:
        why = "evaluation.retrieval_queries: 0 searches for nothing"
        instead = "Raise that"
    else:
        return None
    return Conflict(
        path, f"is not measured: {why} (got {monitor}). {instead}, or monitor val_roc_auc"
    )


def _heads_with_distance() -> str:
    return " or ".join(kind for kind, traits in HEADS.items() if traits.has_distance)


def _margin(model: ModelConfig, training: TrainingConfig) -> Conflict | None:
    loss = training.loss
    if not isinstance(loss, (ContrastiveConfig, OnlineContrastiveConfig, TripletConfig)):
        return None
    if model.head.kind != "cosine" or loss.margin <= MAX_COSINE_DISTANCE:
        return None
    text = (
        f"must be at most {MAX_COSINE_DISTANCE:g} for model.head.kind: cosine, whose distance "
        f"1 - cos is never larger (got {preview(loss.margin)}). Lower it, or use the head "
        "euclidean"
    )
    return Conflict(("training", "loss", "margin"), text)
