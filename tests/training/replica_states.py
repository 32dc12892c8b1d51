"""One step from each of many stored states, for tests in any topology.

The number of replicas is fixed for the life of a process: one replica makes the states, and
every number of replicas takes a step from each of them.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.config.losses import MultipleNegativesConfig, TripletConfig
from job.config.model import CosineConfig, EuclideanConfig, ModelConfig
from job.config.training import SgdConfig, TrainingConfig
from job.data.pipeline.batches import PairArrays
from job.distribution.strategy import open_strategy
from job.models.siamese import build_siamese
from job.training.state import read_variables, write_variables
from job.training.step import TrainStep
from tests.feeds import one_length
from tests.models.encoder_cases import CASES, some_items
from tests.training.encoder_runs import item_shape

BATCH, NUM_STATES = 8, 100
# The encoder, what is above it, and its loss; None for the defaults.
MODELS = {
    "text": ("text", None, None),
    "sequence": ("sequence", None, None),
    "cnn": ("cnn", None, None),
    "multiple_negatives": ("cnn", CosineConfig(), MultipleNegativesConfig()),
    "triplet": ("sequence", EuclideanConfig(), TripletConfig(mining="batch_hard")),
}


def build(name: str, *, strategy: tf.distribute.Strategy):
    """The model, and what takes its steps."""
    encoder, head, loss = MODELS[name]
    section, item = CASES[encoder]
    training = {"optimizer": SgdConfig(learning_rate=0.03, momentum=0.9)}
    with strategy.scope():
        siamese = build_siamese(
            ModelConfig(encoder=section, **({"head": head} if head else {})),
            training=TrainingConfig(**training, **({"loss": loss} if loss else {})),
            item=item,
            seed=3,
        )
    return siamese, TrainStep(siamese, strategy=strategy, global_batch_size=BATCH)


def batch(item, number: int) -> PairArrays:
    """Pairs of a fixed order: items of four classes, half of the pairs of one class."""
    items = some_items(item, 2 * BATCH, seed=number).reshape(2 * BATCH, *item_shape(item))
    rows = np.arange(BATCH)
    classes = rows % 4
    other = np.where(rows < BATCH // 2, classes, (classes + 1) % 4)
    label = (classes == other).astype(np.float32)
    return PairArrays(one_length(items), label, rows, rows + BATCH, classes, other)


def main(num_replicas: int, folder: Path) -> None:
    """Reads `NAME-states.npz`, which one replica writes, and writes `NAME-REPLICAS.npz`."""
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{num_replicas}"), seed=0)
    assert strategy.num_replicas_in_sync == num_replicas
    for name in MODELS:
        siamese, step = build(name, strategy=strategy)
        batches = [batch(siamese.item, number) for number in range(NUM_STATES)]
        states = folder / f"{name}-states.npz"
        if num_replicas == 1:
            np.savez(states, **made(siamese, step, batches))
        with np.load(states) as stored:
            np.savez(
                folder / f"{name}-{num_replicas}.npz", **taken(siamese, step, batches, stored)
            )


def made(siamese, step, batches) -> dict[str, np.ndarray]:
    """The states that training goes through, each with momenta of 0."""
    states = []
    for one in batches:
        states.append(without_momentum(read_variables(siamese.variables())))
        step(step.prepare([one]))
    return {key: np.stack([state[key] for state in states]) for key in states[0]}


def taken(siamese, step, batches, stored) -> dict[str, np.ndarray]:
    """Losses and momenta after a step from each state; momenta are gradients times a rate."""
    arrays = {key: stored[key] for key in stored.files}
    losses, after = [], []
    for number, one in enumerate(batches):
        state = {key: value[number] for key, value in arrays.items()}
        write_variables(siamese.variables(), state)
        losses.append(step(step.prepare([one])).loss)
        end = read_variables(siamese.variables())
        after.append({key: value for key, value in end.items() if key.endswith("_momentum")})
    found = {key: np.stack([state[key] for state in after]) for key in after[0]}
    return found | {"loss": np.concatenate(losses)}


def without_momentum(state):
    """The state with momenta of 0."""
    return {
        key: np.zeros_like(value) if key.endswith("_momentum") else value
        for key, value in state.items()
    }
