"""Puts devices, data and model together; shared by `train` and `evaluate`."""

import logging
from dataclasses import dataclass

import keras
import numpy as np
import PIL
import tensorflow as tf

from job.config.model import HEADS
from job.config.root import Config
from job.data.dataset import Dataset
from job.data.pipeline.collators import Collator, collator_for
from job.data.sampling.epochs import BatchSampler, LengthBucketedSampler, ShuffledPairs
from job.data.sampling.pair_sampling import drawn_pairs
from job.distribution.strategy import open_strategy
from job.models.siamese import Siamese, build_siamese
from job.telemetry.tensorflow_output import captured_native_stderr
from job.types import ItemInput, Kind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Components:
    """A model on its devices, and the data in the form it takes.

    Attributes:
        strategy: What training runs under.
        siamese: The model, with fresh weights.
        feed: The items as the encoder takes them.
        pairs: The pairs to train on.
    """

    strategy: tf.distribute.Strategy
    siamese: Siamese
    feed: Collator
    pairs: BatchSampler

    @property
    def devices(self) -> list[str]:
        """Names of the devices, such as `CPU:0`."""
        workers = self.strategy.extended.worker_devices
        return [name.rpartition("device:")[2] for name in workers]

    @property
    def device_kind(self) -> str:
        """`CPU` or `GPU`."""
        return self.devices[0].partition(":")[0]


def build_components(config: Config, *, dataset: Dataset) -> Components:
    """Opens the devices and builds the model on them.

    Raises:
        ConfigError: The devices asked for are not there, or the training pairs do not make a
            batch.
    """
    feed = collator_for(dataset, config.data)
    pairs = training_pairs(config, dataset=dataset, feed=feed)
    with captured_native_stderr():
        strategy = open_strategy(config.distribution, seed=config.run.seed)
        with strategy.scope():
            siamese = build_siamese(
                config.model,
                training=config.training,
                item=feed.input,
                seed=config.run.seed,
            )
    assembly = Components(strategy, siamese, feed, pairs)
    log.info(
        "model built",
        extra={
            "encoder": config.model.encoder.kind,
            "head": config.model.head.kind,
            "model": siamese.describe(),
            "input": describe_input(feed.input),
            "devices": ", ".join(assembly.devices),
        },
    )
    _warn_of_additive_head(config.model.head.kind)
    return assembly


def training_pairs(config: Config, *, dataset: Dataset, feed: Collator) -> BatchSampler:
    """The pairs that training sees, as the configuration asks for them.

    Raises:
        ConfigError: They do not make a batch.
    """
    seed, batch_size = config.run.seed, config.training.global_batch_size
    pairs: BatchSampler
    if dataset.training_items is None:
        pairs = ShuffledPairs(dataset.pairs["train"], seed, batch_size)
    else:
        pairs = drawn_pairs(
            config.data.sampling_or_default,
            items=dataset.items,
            rows=dataset.training_items,
            seed=seed,
            global_batch_size=batch_size,
        )
    if pairs.num_steps and config.training.bucket_window_batches > 1:
        window = config.training.bucket_window_batches
        return LengthBucketedSampler(pairs, feed.lengths_of, window, seed)
    return pairs


def describe_input(item: ItemInput) -> str:
    """For people: what the encoder is given of an item."""
    if item.kind == "text":
        return f"{item.vocabulary_size - 2} tokens"
    if item.kind == "sequence":
        return f"{item.shape[-1]} features a step"
    return f"{item.shape[0]} x {item.shape[1]} pixels"


def _warn_of_additive_head(head: str) -> None:
    if HEADS[head].expresses_similarity:
        return
    log.warning(
        "additive head",
        extra={
            "head": head,
            "why": "its logit is g(left) + h(right): it weighs each item alone and cannot "
            "express similarity",
            "do": "set model.head.kind to abs_diff_product, or keep it to reproduce the book",
        },
    )


def library_versions(kind: Kind) -> dict[str, str]:
    """Versions of what computes the numbers.

    Args:
        kind: What an item is; pictures are decoded and resized by Pillow.
    """
    versions = {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
    return versions | ({"pillow": PIL.__version__} if kind == "image" else {})


def build_for_export(config: Config, assembly: Components) -> Siamese:
    """The same model with the same weights as plain variables, for export.

    It drops nothing, so that its files hold layers of Keras only.
    """
    model = config.model
    if model.encoder.kind != "xception":
        encoder = model.encoder.model_copy(update={"dropout": 0.0})
        model = model.model_copy(update={"encoder": encoder})
    plain = build_siamese(
        model,
        training=config.training,
        item=assembly.feed.input,
        seed=config.run.seed,
    )
    plain.scorer.set_weights([w.value.numpy() for w in assembly.siamese.scorer.weights])
    return plain
