"""Builds what the training loop runs, before there is a run to change."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from job.callbacks.callback_list import CallbackList
from job.checkpoints.policy import SavePolicy
from job.config.root import Config
from job.data.dataset import Dataset
from job.distribution.cluster import SINGLE, Cluster
from job.distribution.group import Group
from job.distribution.hardware import choose_compute_threads
from job.distribution.messages import Message
from job.models.learning_rate import RateSchedule
from job.run.components import Components, build_components, set_info_metrics
from job.run.context import RunContext
from job.run.follow import BUILD
from job.run.item_access import item_access
from job.training.budget import epochs_of
from job.training.grid import grid_steps
from job.training.loop import Lead, Schedule, TrainingData, TrainingLoop
from job.training.signals import StopSignal
from job.training.step import TrainStep
from job.training.weight_update import UpdateRule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What the loop runs, before there is a run to change.

    Attributes:
        step: Runs optimizer steps.
        data: The training batches of each epoch.
        schedule: How long to train, and when to save.
        rate: The factor of the learning rate at each step.
    """

    step: TrainStep
    data: TrainingData
    schedule: Schedule
    rate: RateSchedule

    @property
    def target_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.schedule.epochs * self.data.steps_in_epoch

    def loop(
        self,
        callbacks: CallbackList,
        *,
        validate: Callable[[], Mapping[str, float]],
        stop: StopSignal,
        lead: Lead,
    ) -> TrainingLoop:
        """The loop with these callbacks; the callbacks save with the same `schedule.saves`."""
        return TrainingLoop(
            step=self.step,
            data=self.data,
            schedule=self.schedule,
            callbacks=callbacks,
            validate=validate,
            stop=stop,
            lead=lead,
        )


def agreed_settings(
    config: Config, group: Group, *, stored: Mapping[str, Any]
) -> dict[str, int | None]:
    """Tells the followers what the chief builds with, and that they can begin.

    Args:
        config: The configuration of the run.
        group: The workers.
        stored: What the run's first attempt derived; empty for a new run.

    Returns:
        `compute_threads`; `epochs_budget` and `grid_steps` of the first attempt, or None.
    """
    threads = choose_compute_threads(config, stored=stored.get("compute_threads"))
    settings = {
        "compute_threads": threads,
        "epochs_budget": stored.get("epochs_budget"),
        "grid_steps": stored.get("grid_steps"),
    }
    group.tell(Message(BUILD, settings))
    return settings


def build_model(
    run: RunContext, dataset: Dataset, settings: Mapping[str, Any]
) -> tuple[Components, Training]:
    """Builds the model and its training on this worker; all workers get here together.

    Args:
        run: This process.
        dataset: What it trains on.
        settings: From `agreed_settings`.

    Raises:
        ConfigError: See `build_components` and `build_training`.
    """
    components = build_components(
        run.config,
        dataset=dataset,
        stored_threads=settings["compute_threads"],
        cluster=run.cluster,
        pod=run.pod,
    )
    run.stop.install()  # TensorFlow may have replaced the handlers
    set_info_metrics(run, components, dataset_sha256=dataset.fingerprint)
    training = build_training(
        run.config,
        components,
        dataset,
        stored_grid_steps=settings["grid_steps"],
        stored_epochs=settings["epochs_budget"],
        cluster=run.cluster,
    )
    return components, training


def build_training(
    config: Config,
    components: Components,
    dataset: Dataset,
    *,
    stored_grid_steps: int | None = None,
    stored_epochs: int | None = None,
    cluster: Cluster = SINGLE,
) -> Training:
    """Builds step, data and schedule.

    Args:
        config: The configuration of the run.
        components: From `build_components`.
        dataset: Its items are the input.
        stored_grid_steps: `Schedule.grid_steps` of the run's first attempt, if known. Only
            custom callbacks can notice the grid, so it is free without them.
        stored_epochs: The budget of epochs of the run's first attempt, if known.
        cluster: The workers; this one prepares the items of its part of each batch.

    Raises:
        ConfigError: The replicas cannot share the global batch equally, or the learning rate
            cannot follow its schedule in so many steps.
    """
    section = config.training
    pairs = components.pairs
    access = item_access(config, components)
    log.info(
        "pairs grouped by length",
        extra={
            "window_batches": pairs.window,
            "padding": f"{pairs.padding:.1%}",
            "encoder_calls": 1 if access.merged else 2,
        },
    )
    data = TrainingData(
        pairs.sampler,
        components.feed,
        dataset.items,
        section.global_batch_size,
        seed=config.run.seed,
        threads=section.input_threads,
        max_steps=section.steps_per_epoch,
        are_items_stored=access.stored is not None,
        encoded=cluster.part_of(section.global_batch_size),
    )
    grid = grid_steps(section.steps_per_call, batch_bytes=data.largest_batch_bytes)
    if stored_grid_steps is not None and config.callbacks.custom:
        grid = stored_grid_steps
    epochs = epochs_of(section.epochs, steps_in_epoch=data.steps_in_epoch, stored=stored_epochs)
    if section.epochs is None:
        log.info(
            "epochs chosen", extra={"epochs": epochs, "steps": epochs * data.steps_in_epoch}
        )
    run_steps = epochs * data.steps_in_epoch
    rate = RateSchedule.of(section.schedule, run_steps=run_steps)
    step = TrainStep(
        components.siamese,
        strategy=components.strategy,
        global_batch_size=section.global_batch_size,
        access=access,
        rule=UpdateRule(section.clip_norm, rate),
        micro_batch_size=section.per_replica_micro_batch_size,
        compression=config.distribution.compression,
    )
    saves = SavePolicy(config.checkpoint.every_steps, config.checkpoint.every_seconds)
    schedule = Schedule(epochs, grid, saves, config.evaluation.every_steps)
    return Training(step, data, schedule, rate)
