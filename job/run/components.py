"""Builds devices, data pipeline and model; shared by `train` and `evaluate`."""

import logging
from dataclasses import dataclass

import tensorflow as tf

from job.checkpoints.provenance import config_sha256
from job.config.model import HEADS
from job.config.resume import as_record
from job.config.root import Config
from job.config.sampling import ClassSamplingConfig
from job.data.dataset import Dataset
from job.data.pipeline.collators import Collator, collator_for
from job.data.sampling.epochs import BatchSampler, ShuffledPairs
from job.data.sampling.length_groups import GroupedPairs, group_by_length
from job.data.sampling.pair_sampling import drawn_pairs
from job.distribution.cluster import SINGLE, Cluster
from job.distribution.hardware import choose_compute_threads, library_versions
from job.distribution.kubernetes import Pod
from job.distribution.strategy import open_strategy
from job.models.siamese import Siamese, build_siamese
from job.run.context import RunContext
from job.types import ItemInput

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Components:
    """A model on its devices, and the data as it consumes it.

    Attributes:
        strategy: The distribution strategy.
        siamese: The model, with fresh weights.
        feed: Collates items into the encoder's input.
        pairs: Chooses the training pairs.
        compute_threads: Threads of one TensorFlow operation.
    """

    strategy: tf.distribute.Strategy
    siamese: Siamese
    feed: Collator
    pairs: GroupedPairs
    compute_threads: int

    @property
    def devices(self) -> list[str]:
        """Names of the devices, such as `CPU:0`."""
        workers = self.strategy.extended.worker_devices
        return [name.rpartition("device:")[2] for name in workers]

    @property
    def device_kind(self) -> str:
        """`CPU` or `GPU`."""
        return self.devices[0].partition(":")[0]


def build_components(
    config: Config,
    *,
    dataset: Dataset,
    stored_threads: int | None = None,
    cluster: Cluster = SINGLE,
    pod: Pod | None = None,
) -> Components:
    """Opens the devices and builds the model on them.

    Args:
        config: The configuration of the run.
        dataset: Its items are the input.
        stored_threads: Compute threads of the run's first attempt, if known.
        cluster: The workers; all of them build at the same time.
        pod: The pod of this process; None outside a cluster.

    Raises:
        ConfigError: A device or TensorFlow's port of this worker is not available, or the
            training pairs do not fill a batch.
    """
    feed = collator_for(dataset, config.data)
    pairs = training_pairs(config, dataset=dataset, feed=feed)
    section = config.training
    threads = choose_compute_threads(config, stored=stored_threads)
    strategy = open_strategy(
        config.distribution,
        seed=config.run.seed,
        compute_threads=threads,
        tf32=section.tf32,
        cluster=cluster,
        gpus_of_pod=pod.num_gpus if pod else 0,
    )
    with strategy.scope():
        siamese = build_siamese(
            config.model,
            training=section,
            item=feed.input,
            seed=config.run.seed,
        )
    components = Components(strategy, siamese, feed, pairs, threads)
    log.info(
        "model built",
        extra={
            "encoder": config.model.encoder.kind,
            "head": config.model.head.kind,
            "model": siamese.describe(),
            "input": describe_input(feed.input),
            "devices": ", ".join(components.devices),
            "threads": threads,
        },
    )
    _warn_if_additive_head(config.model.head.kind)
    return components


def training_pairs(config: Config, *, dataset: Dataset, feed: Collator) -> GroupedPairs:
    """Chooses the training pairs as configured, and how they are grouped by length.

    Raises:
        ConfigError: They do not fill a batch.
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
    window = config.training.bucket_window_batches
    if isinstance(config.data.sampling, ClassSamplingConfig):
        window = 1  # a batch holds whole classes
    return group_by_length(
        pairs,
        lengths_of=feed.lengths_of,
        window=window,
        seed=seed,
        recur=dataset.training_items is None,
    )


def describe_input(item: ItemInput) -> str:
    """The encoder's input, for people."""
    if item.kind == "text":
        return f"{item.vocabulary_size - 2} tokens"
    if item.kind == "sequence":
        return f"{item.shape[-1]} features a step"
    return f"{item.shape[0]} x {item.shape[1]} pixels"


def _warn_if_additive_head(head: str) -> None:
    if HEADS[head].expresses_similarity:
        return
    log.warning(
        "additive head",
        extra={
            "head": head,
            "why": "its logit is g(left) + h(right): it scores each item separately and cannot "
            "express similarity",
            "do": "set model.head.kind to abs_diff_product, or keep it to reproduce the book",
        },
    )


def build_for_export(config: Config, components: Components) -> Siamese:
    """Builds the model with the same weights as plain variables, for inference.

    Its files then contain layers of Keras only.
    """
    encoder = config.model.encoder.for_inference()
    model = config.model.model_copy(update={"encoder": encoder})
    plain = build_siamese(
        model,
        training=config.training,
        item=components.feed.input,
        seed=config.run.seed,
        exported=True,
    )
    plain.scorer.set_weights([w.value.numpy() for w in components.siamese.scorer.weights])
    return plain


def set_info_metrics(run: RunContext, components: Components, *, dataset_sha256: str) -> None:
    """Exports `siamese_build_info` and `siamese_run_info`."""
    config = run.config
    versions = library_versions()
    run.listener.describe_build(
        version=versions["siamese-job"],
        revision="",  # known to whoever builds an image, not to the package
        python_version=versions["python"],
        tensorflow_version=versions["tensorflow"],
        keras_version=versions["keras"],
    )
    stopping = config.callbacks.early_stopping
    run.listener.describe_run(
        run_id=config.run.name,
        encoder=config.model.encoder.kind,
        head=config.model.head.kind,
        loss=config.training.loss.kind,
        optimizer=config.training.optimizer.kind,
        global_batch_size=config.training.global_batch_size,
        learning_rate=config.training.optimizer.learning_rate,
        precision=config.model.precision,
        strategy=f"{type(components.strategy).__name__}({len(components.devices)})",
        dataset=dataset_sha256[:12],
        monitor=stopping.monitor if stopping else config.best_monitor,
        seed=config.run.seed,
        config_hash=config_sha256(as_record(config))[:12],
    )
