"""Optimizer steps with every way of computing and applying a gradient, and what came out.

`main` takes them on a number of replicas and writes an `.npz`. A process keeps its number of
replicas, so a comparison needs a process each.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.config.losses import (
    BinaryCrossentropyConfig,
    Loss,
    MultipleNegativesConfig,
    TripletConfig,
)
from job.config.model import CosineConfig, Head, MlpConfig, ModelConfig, Precision
from job.config.training import (
    AdamwConfig,
    CosineScheduleConfig,
    Optimizer,
    SgdConfig,
    TrainingConfig,
)
from job.distribution.strategy import open_strategy
from job.models.dropout import PairDropout
from job.models.heads import build_head
from job.models.learning_rate import RateSchedule
from job.models.losses.build_loss import build_loss
from job.models.optimizers import build_optimizer
from job.models.siamese import Siamese
from job.models.weight_averages import WeightAverages
from job.training.gradients import ReplicaStep
from job.training.state import read_variables, write_variables
from job.training.weight_update import PLAIN, UpdateRule
from job.types import ItemInput

BATCH, STEPS, NUM_ITEMS, FEATURES, SIZE = 16, 4, 40, 6, 5
MICRO_BATCH = 2
ITEM = ItemInput("text", "int32", (FEATURES,), vocabulary_size=9)
COSINE, SGD = CosineConfig(), SgdConfig(learning_rate=0.1)
ADAMW = AdamwConfig(learning_rate=0.01, weight_decay=0.1)
EVERYTHING = UpdateRule(
    clip_norm=0.05,
    schedule=RateSchedule.of(CosineScheduleConfig(warmup_steps=2), run_steps=STEPS + 2),
)


@dataclass(frozen=True)
class Case:
    """What a run is made of."""

    loss: Loss
    head: Head = COSINE
    optimizer: Optimizer = SGD
    rule: UpdateRule = PLAIN
    precision: Precision = "float32"
    dropout: float = 0.3
    ema_momentum: float | None = None


RULES = {
    "everything": Case(BinaryCrossentropyConfig(), MlpConfig(units=4), ADAMW, EVERYTHING),
    "scaled loss": Case(
        BinaryCrossentropyConfig(),
        MlpConfig(units=4),
        rule=EVERYTHING,
        precision="mixed_float16",
    ),
}
RULES = {name: replace(case, ema_momentum=0.9) for name, case in RULES.items()}
# A loss of one pair at a time, then losses that compare the batch.
DIVIDED = {
    "mlp": Case(BinaryCrossentropyConfig(), MlpConfig(units=4)),
    "triplet": Case(TripletConfig(margin=1.0)),
    "multiple_negatives": Case(
        MultipleNegativesConfig(temperature=0.1, symmetric=True), precision="mixed_float16"
    ),
}


def build(case: Case) -> Siamese:
    x = keras.Input((FEATURES,), dtype="int32")
    vectors = keras.layers.Embedding(9, 8, embeddings_initializer=uniform(2), name="tokens")(x)
    vectors = PairDropout(case.dropout, seed=5, name="dropout")(vectors)
    flat = keras.layers.Flatten()(vectors)
    dense = keras.layers.Dense(SIZE, "tanh", kernel_initializer=uniform(1), name="dense")
    encoder = keras.Model(x, dense(flat), name="encoder")
    head = build_head(ModelConfig(head=case.head).head, embedding_size=SIZE, seed=1)
    left, right = (keras.Input((FEATURES,), dtype="int32") for _ in range(2))
    scorer = keras.Model([left, right], head([encoder(left), encoder(right)]), name="scorer")
    training = TrainingConfig(loss=case.loss, optimizer=case.optimizer)
    optimizer = build_optimizer(training.optimizer, precision=case.precision)
    optimizer.build(scorer.trainable_variables)
    loss = build_loss(training.loss, head=case.head.kind)
    averages = None
    if case.ema_momentum:
        averages = WeightAverages.of(scorer.trainable_variables, momentum=case.ema_momentum)
    return Siamese(ITEM, encoder, head, scorer, loss, optimizer, averages)


def uniform(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomUniform(-0.5, 0.5, seed=seed)


def batches() -> list[tuple[np.ndarray, ...]]:
    """Left items, right items, label, item numbers and classes, of each step."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 9, (NUM_ITEMS, FEATURES)).astype(np.int32)
    classes = rng.integers(-1, 6, NUM_ITEMS)
    left, right = rng.integers(0, NUM_ITEMS, (2, STEPS, BATCH))
    # Near pairs match, so that few pairs are hard, and which depends on the whole batch.
    apart = np.sum(values[left] != values[right], axis=2)
    label = (apart < np.median(apart)).astype(np.float32)
    return [
        (values[u], values[v], y, u, v, classes[u], classes[v])
        for u, v, y in zip(left, right, label, strict=True)
    ]


class Run:
    """One model under training."""

    def __init__(
        self,
        case: Case,
        *,
        strategy: tf.distribute.Strategy,
        micro_batch: int | None = None,
    ) -> None:
        with strategy.scope():
            self.siamese = build(case)
        self._own = BATCH // strategy.num_replicas_in_sync
        self._step = ReplicaStep(self.siamese, BATCH, case.rule, micro_batch)
        self._take = tf.function(
            lambda *batch: strategy.run(self._replica, args=batch), autograph=False
        )
        self._local = strategy.experimental_local_results

    def _replica(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * self._own
        left, right, *pairs = (
            tf.ensure_shape(rows[first : first + self._own], (self._own, *rows.shape[1:]))
            for rows in batch
        )

        def embed(first, size):
            u, v = (tf.slice(side, (first, 0), (size, FEATURES)) for side in (left, right))
            return self.siamese.embed_sides(u, v, training=True)

        return self._step(embed, *pairs)

    def take(self, first: int = 0, last: int = STEPS) -> np.ndarray:
        """The loss, and the share of correct pairs, of some steps, (2, steps)."""
        results = [self._take(*map(tf.constant, one)) for one in batches()[first:last]]
        return np.array([[self._local(part)[0].numpy() for part in one] for one in results]).T

    @property
    def state(self) -> dict[str, np.ndarray]:
        return read_variables(self.siamese.variables())

    def copies(self) -> list[list[np.ndarray]]:
        """Each variable on each device."""
        variables = self.siamese.variables().values()
        return [[copy.numpy() for copy in self._local(one.value)] for one in variables]


def main(replicas: int, path: Path, names: list[str]) -> None:
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{replicas}"), seed=0)
    assert strategy.num_replicas_in_sync == replicas
    found: dict[str, np.ndarray] = {}
    for name in names:
        if name in RULES:
            run = Run(RULES[name], strategy=strategy)
        else:
            run = Run(DIVIDED[name], strategy=strategy, micro_batch=MICRO_BATCH)
        for key, value in trained(run).items():
            found[f"{name}|{key}"] = value
        same = [np.array_equal(one, copies[0]) for copies in run.copies() for one in copies]
        found[f"alike {name}"] = np.bool_(all(same) and len(same) > 5 * replicas)
        found[f"again {name}"] = np.bool_(resumes(run))
        if name in DIVIDED and replicas == 1:
            for key, value in trained(Run(DIVIDED[name], strategy=strategy)).items():
                found[f"{name} whole|{key}"] = value
    np.savez(path, **found)


def trained(run: Run) -> dict[str, np.ndarray]:
    """The metrics of every step, and all variables after them."""
    return {"metrics": run.take(), **run.state}


def resumes(run: Run) -> bool:
    """Whether a run stored after two more steps ends in the same bits."""
    run.take(0, 2)
    stored = run.state
    run.take(2)
    straight = run.state
    run.take(0, 1)  # what it does meanwhile is of no consequence
    write_variables(run.siamese.variables(), stored)
    run.take(2)
    return all(np.array_equal(value, straight[key]) for key, value in run.state.items())
