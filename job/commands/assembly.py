"""Puts devices, data and model together; shared by `train` and `evaluate`."""

import logging
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from job.config.compatibility import HEADS
from job.config.root import Config
from job.data.feeds import Feed, TokenFeed
from job.data.tables import Dataset
from job.data.vocabulary import Vocabulary
from job.distribution.strategy import open_strategy
from job.models.siamese import Siamese, build_siamese
from job.telemetry.native_stderr import captured_native_stderr

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assembly:
    """A model on its devices, and the data in the form it takes.

    Attributes:
        strategy: What training runs under.
        siamese: The model, with fresh weights.
        vocabulary: Numbers of the tokens that occur in the training items.
        feed: The items as the encoder takes them.
    """

    strategy: tf.distribute.Strategy
    siamese: Siamese
    vocabulary: Vocabulary
    feed: Feed

    @property
    def devices(self) -> list[str]:
        """Names of the devices, such as `CPU:0`."""
        workers = self.strategy.extended.worker_devices
        return [name.rpartition("device:")[2] for name in workers]

    @property
    def device_kind(self) -> str:
        """`CPU` or `GPU`."""
        return self.devices[0].partition(":")[0]


def assemble(config: Config, *, dataset: Dataset) -> Assembly:
    """Opens the devices and builds the model on them.

    Raises:
        ConfigError: The devices asked for are not there.
    """
    vocabulary = dataset.statistics
    if not isinstance(vocabulary, Vocabulary):
        raise ValueError("texts have a vocabulary")
    feed = TokenFeed(dataset.items.values, vocabulary)
    with captured_native_stderr():
        strategy = open_strategy(config.distribution, seed=config.run.seed)
        with strategy.scope():
            siamese = build_siamese(
                config.model,
                training=config.training,
                item=feed.input,
                seed=config.run.seed,
            )
    assembly = Assembly(strategy, siamese, vocabulary, feed)
    log.info(
        "model built",
        extra={
            "encoder": config.model.encoder.kind,
            "head": config.model.head.kind,
            "model": siamese.describe(),
            vocabulary.kind: len(vocabulary.tokens),
            "devices": ", ".join(assembly.devices),
        },
    )
    _warn_of_additive_head(config.model.head.kind)
    return assembly


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


def library_versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def build_outside_strategy(config: Config, assembly: Assembly) -> Siamese:
    """The same model with the same weights as plain variables, for export."""
    plain = build_siamese(
        config.model,
        training=config.training,
        item=assembly.feed.input,
        seed=config.run.seed,
    )
    plain.scorer.set_weights([w.value.numpy() for w in assembly.siamese.scorer.weights])
    return plain
