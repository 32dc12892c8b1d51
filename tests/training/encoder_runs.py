"""A few optimizer steps with each encoder, and what came out, for tests in any topology.

`main` takes steps on a number of replicas and writes an `.npz`. A process keeps its number of
replicas, so a comparison needs a process each.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.config.model import ModelConfig, Precision
from job.config.training import SgdConfig, TrainingConfig
from job.data.pipeline.batches import PairArrays
from job.distribution.strategy import open_strategy
from job.models.siamese import Siamese, build_siamese
from job.training.state import read_variables, write_variables
from job.training.step import StepResults, TrainStep
from tests.feeds import one_length
from tests.models.encoder_cases import CASES, some_items

BATCH, STEPS = 4, 2
SCALE = "optimizer|loss_scale/dynamic_scale"
COUNTER = "optimizer|loss_scale/step_counter"
ITERATION = "optimizer|sgd/iteration"


@dataclass
class Run:
    """One model under training."""

    siamese: Siamese
    step: TrainStep

    @property
    def state(self) -> dict[str, np.ndarray]:
        return read_variables(self.siamese.variables())

    def restore(self, state: dict[str, np.ndarray]) -> None:
        write_variables(self.siamese.variables(), state)


def begin(
    name: str, *, strategy: tf.distribute.Strategy, precision: Precision, dropout: float = 0.0
) -> Run:
    """Builds the model whose encoder is the case of that name."""
    section, item = CASES[name]
    if name != "xception":
        section = section.model_copy(update={"dropout": dropout})
    optimizer = SgdConfig(learning_rate=0.01, momentum=0.9)
    with strategy.scope():
        siamese = build_siamese(
            ModelConfig(encoder=section, precision=precision),
            training=TrainingConfig(optimizer=optimizer),
            item=item,
            seed=3,
        )
    return Run(siamese, TrainStep(siamese, strategy=strategy, global_batch_size=BATCH))


def take(run: Run, first: int = 0, last: int = STEPS, *, change=None) -> StepResults:
    """Takes the steps `first` to `last` of a fixed few.

    Args:
        run: The model.
        first: First step.
        last: One behind the last step.
        change: Applied to the left and to the right items, (steps, pairs, ...), before.
    """
    item = run.siamese.item
    sides = [
        some_items(item, STEPS * BATCH, seed=seed).reshape(STEPS, BATCH, *item_shape(item))
        for seed in (1, 2)
    ]
    if change:
        sides = [change(side) for side in sides]
    label = np.tile(np.float32([1, 0, 0, 1]), (STEPS, 1))
    number = np.arange(STEPS * BATCH).reshape(STEPS, BATCH)
    unknown = np.full(BATCH, -1)
    batches = [
        PairArrays(
            one_length(np.concatenate([left, right])),
            y,
            n,
            n + STEPS * BATCH,
            unknown,
            unknown,
        )
        for left, right, y, n in zip(*sides, label, number, strict=True)
    ]
    return run.step(run.step.prepare(batches[first:last]))


def item_shape(item) -> tuple[int, ...]:
    return tuple(size or 7 for size in item.shape)


def grey_on_first_replica(pictures: np.ndarray) -> np.ndarray:
    """Pictures of zeros, once scaled, in the first half of each batch: no gradient at all."""
    changed = pictures.copy()
    changed[:, : BATCH // 2] = 127.5
    return changed


def main(num_replicas: int, path: Path, names: list[str]) -> None:
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{num_replicas}"), seed=0)
    assert strategy.num_replicas_in_sync == num_replicas
    found: dict[str, np.ndarray] = {}
    for name in names:
        kind, _, precision = name.partition("@")
        run = begin(kind, strategy=strategy, precision=precision or "float32", dropout=0.3)
        found |= {f"{name} {key}": value for key, value in trained(run).items()}
    if "cnn@mixed_float16" in names:
        run = begin("cnn", strategy=strategy, precision="mixed_float16")
        found |= {f"overflow {key}": value for key, value in overflown(run, strategy).items()}
    np.savez(path, **found)


def trained(run: Run) -> dict[str, np.ndarray]:
    """Losses, digests of the first state, beginnings of the last state's arrays, and whether a
    run stored after a step ends in the same state.
    """
    start = run.state
    loss = take(run).loss
    end = run.state
    run.restore(start)
    take(run, 0, 1)
    middle = run.state
    take(run, 0, 1)
    run.restore(middle)
    take(run, 1)
    resumed = run.state
    again = all(np.array_equal(resumed[key], end[key]) for key in end)
    # Xception's states are too large for files that are read once.
    digests = {f"start {key}": digest(value) for key, value in start.items()}
    parts = {f"end {key}": value.ravel()[:4096] for key, value in end.items()}
    return digests | parts | {"loss": loss, "again": np.bool_(again)}


def digest(value: np.ndarray) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(value.tobytes()).digest(), np.uint8)


def overflown(run: Run, strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """A step whose gradients are too large on every replica but the first."""
    start = run.state
    run.restore(start | {SCALE: np.float32(1e30)})
    take(run, 0, 1, change=grey_on_first_replica)
    end = run.state
    copies = [
        [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
        for variable in run.siamese.variables().values()
    ]
    alike = all(np.array_equal(copy, first) for first, *rest in copies for copy in rest)
    kept = all(
        np.array_equal(end[key], start[key]) for key in end if key not in (SCALE, COUNTER)
    )
    return {
        "copies": np.int64(min(map(len, copies))),
        "alike": np.bool_(alike),
        "kept": np.bool_(kept),
        "scale": end[SCALE],
    }
