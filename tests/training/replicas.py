"""Trains a tiny model under every in-batch loss and prints what came out, as JSON.

The number of replicas is fixed for the life of a process, so a comparison needs a process each.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from job.config.distribution import Compression, DistributionConfig
from job.config.losses import (
    BinaryCrossentropyConfig,
    CircleConfig,
    MultipleNegativesConfig,
    OnlineContrastiveConfig,
    TripletConfig,
)
from job.config.model import CosineConfig, EuclideanConfig, ModelConfig
from job.config.training import SgdConfig, TrainingConfig
from job.data.pipeline.batches import PairArrays
from job.distribution.strategy import open_strategy
from job.models.heads import build_head
from job.models.losses.build_loss import build_loss
from job.models.optimizers import build_optimizer
from job.models.siamese import Siamese
from job.training.gradients import ReplicaStep
from job.training.state import read_variables
from job.training.step import TrainStep
from job.types import ItemInput
from tests.feeds import one_length

BATCH, STEPS, NUM_ITEMS, FEATURES = 16, 5, 40, 6
ITEM = ItemInput("text", "float32", (FEATURES,))
CASES = {
    "binary_crossentropy": (BinaryCrossentropyConfig(), CosineConfig()),
    "online_contrastive": (OnlineContrastiveConfig(), CosineConfig()),
    "batch_hard": (TripletConfig(margin=1.0, mining="batch_hard"), EuclideanConfig()),
    "semi_hard": (TripletConfig(margin=1.0), EuclideanConfig()),
    "multiple_negatives": (MultipleNegativesConfig(temperature=0.1), CosineConfig()),
    "multiple_negatives_symmetric": (MultipleNegativesConfig(symmetric=True), CosineConfig()),
    "multiple_negatives_euclidean": (
        MultipleNegativesConfig(temperature=1.0),
        EuclideanConfig(),
    ),
    "circle": (CircleConfig(gamma=16.0), CosineConfig()),
}


# Whose collective operations are counted, which takes a trace more.
COUNTED = ("binary_crossentropy", "compressed")


def build(loss, head) -> Siamese:
    x = keras.Input((FEATURES,))
    initializer = keras.initializers.GlorotUniform(seed=1)
    layer = keras.layers.Dense(5, "tanh", kernel_initializer=initializer, name="dense")
    encoder = keras.Model(x, layer(x), name="encoder")
    scored = build_head(ModelConfig(head=head).head, embedding_size=5, seed=1)
    left, right = keras.Input((FEATURES,)), keras.Input((FEATURES,))
    scorer = keras.Model([left, right], scored([encoder(left), encoder(right)]), name="scorer")
    training = TrainingConfig(loss=loss, optimizer=SgdConfig(learning_rate=0.1))
    optimizer = build_optimizer(training.optimizer)
    optimizer.build(scorer.trainable_variables)
    loss = build_loss(training.loss, head=head.kind)
    return Siamese(ITEM, encoder, scored, scorer, loss, optimizer)


def batches() -> list[PairArrays]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(NUM_ITEMS, FEATURES)).astype(np.float32)
    classes = rng.integers(-1, 6, NUM_ITEMS)
    left, right = rng.integers(0, NUM_ITEMS, (2, STEPS, BATCH))
    # Near pairs match, so that few pairs are hard, and which depends on the whole batch.
    apart = np.linalg.norm(values[left] - values[right], axis=2)
    label = (apart < np.median(apart)).astype(np.float32)
    return [
        PairArrays(
            one_length(np.concatenate([values[u], values[v]])),
            y,
            u,
            v,
            classes[u],
            classes[v],
        )
        for u, v, y in zip(left, right, label, strict=True)
    ]


def num_collectives(
    siamese: Siamese, *, strategy: tf.distribute.Strategy, compression: Compression = "none"
) -> int:
    """Collective operations of each replica in one step."""
    replicas = strategy.num_replicas_in_sync
    step = ReplicaStep(siamese, global_batch_size=BATCH, compression=compression)
    items = tf.zeros((BATCH // replicas, FEATURES))
    label, number = (tf.zeros(BATCH // replicas, dtype) for dtype in (tf.float32, tf.int64))

    def take() -> None:
        step(
            lambda first, size: siamese.embed_sides(items, items, training=True),
            *(label, number, number, number, number),
        )

    graph = (
        tf.function(lambda: strategy.run(take), autograph=False).get_concrete_function().graph
    )
    operations = [node.op for node in graph.as_graph_def().node]
    for function in graph.as_graph_def().library.function:
        operations += [node.op for node in function.node_def]
    return sum(one.startswith("Collective") for one in operations) // replicas


def main(num_replicas: int) -> None:
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{num_replicas}"), seed=0)
    assert strategy.num_replicas_in_sync == num_replicas
    found = {}
    compressed = {"compressed": CASES["binary_crossentropy"]}
    for name, (loss, head) in (CASES | compressed).items():
        with strategy.scope():
            siamese = build(loss, head)
        compression: Compression = "bfloat16" if name == "compressed" else "none"
        step = TrainStep(
            siamese, strategy=strategy, global_batch_size=BATCH, compression=compression
        )
        results = step(step.prepare(batches()))
        weights = read_variables(siamese.variables())
        found[name] = {
            "loss": results.loss.tolist(),
            "weights": {key: value.tolist() for key, value in sorted(weights.items())},
        }
        if name in COUNTED:
            found[name]["collectives"] = num_collectives(
                siamese, strategy=strategy, compression=compression
            )
    json.dump(found, sys.stdout)
