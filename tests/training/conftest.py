"""A task small enough for unit tests: do two short strings begin with the same letter?"""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.callbacks.callback_list import CallbackList
from job.checkpoints.policy import SavePolicy
from job.config.model import LstmConfig, ModelConfig
from job.config.training import AdamConfig, TrainingConfig
from job.data.dataset import ItemTable, PairTable
from job.data.pipeline.prefetch import Steps
from job.data.sampling.epochs import ShuffledPairs
from job.distribution.group import Group
from job.models.siamese import Siamese, build_siamese
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.run.lead import Leader
from job.training.loop import Schedule, TrainingData, TrainingLoop
from job.training.signals import StopSignal
from job.training.state import TrainState, read_variables, write_variables
from job.training.step import PreparedCall, TrainStep
from job.types import ItemInput
from tests.feeds import IdFeed

NUM_PAIRS = 100
BATCH = 16
STEPS = NUM_PAIRS // BATCH


@dataclass
class Toy:
    """One process' worth of training."""

    siamese: Siamese
    step: TrainStep
    data: TrainingData

    def loop(
        self, *, epochs=2, callbacks=(), validate=dict, stop=None, **schedule
    ) -> TrainingLoop:
        listed = CallbackList(callbacks, model=self.siamese.scorer)
        saves = SavePolicy(schedule.get("every_steps", 1000))
        return TrainingLoop(
            step=self.step,
            data=self.data,
            schedule=Schedule(
                epochs, schedule.get("grid_steps", 4), saves, schedule.get("validate_every")
            ),
            callbacks=listed,
            validate=validate,
            stop=stop or StopSignal(),
            lead=Leader(Group(), self.siamese),
        )

    def train(self, state=None, **options) -> tuple[str, TrainState]:
        state = state or TrainState()
        return self.loop(**options).run(state), state

    def first_call(self) -> PreparedCall:
        """The first step of the first epoch."""
        with self.data.calls(self.step.prepare, epochs=1) as calls:
            return calls.take(Steps(0, 0, 1))

    def weights(self) -> dict[str, np.ndarray]:
        return read_variables(self.siamese.variables())


def make_data() -> TrainingData:
    rng = np.random.default_rng(0)
    tokens = RaggedArray(
        rng.integers(2, 9, 120).astype(np.int32), offsets_of(np.tile([2, 3, 5], 12))
    )
    left, right = rng.integers(0, len(tokens), (2, NUM_PAIRS))
    first = tokens.values[tokens.offsets[:-1]]
    label = (first[left] == first[right]).astype(np.uint8)
    pairs = ShuffledPairs(PairTable(left, right, label), seed=5, global_batch_size=BATCH)
    return TrainingData(pairs, IdFeed(tokens), ItemTable("text", tokens), BATCH, seed=5)


def make_toy(strategy: tf.distribute.Strategy, *, bidirectional=False) -> Toy:
    encoder = LstmConfig(
        units=4, embedding_size=3, bidirectional=bidirectional, dropout=0.3, pooling="mean"
    )
    with strategy.scope():
        siamese = build_siamese(
            ModelConfig(encoder=encoder),
            training=TrainingConfig(optimizer=AdamConfig(learning_rate=0.01)),
            item=ItemInput("text", "int32", (None,), vocabulary_size=9),
            seed=2,
        )
    step = TrainStep(siamese, strategy=strategy, global_batch_size=BATCH)
    return Toy(siamese, step, make_data())


@pytest.fixture(scope="session")
def strategy():
    keras.config.disable_interactive_logging()
    tf.config.experimental.enable_op_determinism()
    return tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.fixture(scope="session")
def pristine(strategy):
    toy = make_toy(strategy)
    return toy, toy.weights()


@pytest.fixture
def toy(pristine):
    """Gives the toy as it was when built: tracing its graph anew for each test takes seconds.

    Earlier toys of the same test are the same object, so their weights are read before.
    """
    shared, initial = pristine

    def fresh(*, learning_rate: float = 0.01) -> Toy:
        rate = {"optimizer|adam/learning_rate": np.float32(learning_rate)}
        write_variables(shared.siamese.variables(), initial | rate)
        return shared

    return fresh
