"""The callbacks of a run, put together from its configuration, its attempt and its metrics."""

import logging
from collections.abc import Callable
from functools import partial

import keras

from job.callbacks.activations import FOLDER, ActivationsCallback, require_layers
from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import (
    CallbackList,
    ControlCallbacks,
    build_control_callbacks,
    is_stateful,
    ordered_callbacks,
)
from job.callbacks.checkpoint import CheckpointCallback
from job.callbacks.progress import ProgressCallback
from job.callbacks.prometheus import MetricsCallback
from job.callbacks.user import load_custom_callbacks
from job.checkpoints.epoch_artifacts import EpochArtifacts
from job.checkpoints.policy import SavePolicy
from job.config.callbacks import ActivationsConfig
from job.data.dataset import Dataset
from job.models.activation_probe import ActivationProbe, Activations
from job.run.checkpointer import Attempt
from job.run.components import Components
from job.run.context import RunContext
from job.telemetry.progress_reporter import ProgressReporter
from job.types import Position

ActivationSource = Callable[[], Activations]


def activation_probe_for(
    section: ActivationsConfig | None, *, assembly: Components, dataset: Dataset
) -> ActivationSource | None:
    """What looks at the first validation pair through the model; None when nothing does.

    Raises:
        ConfigError: A layer is asked for that the model does not have.
    """
    if section is None:
        return None
    probe = ActivationProbe(assembly.siamese)
    require_layers(section.metric_layers, known=probe.layers)
    pairs = dataset.pairs["validation"]
    left, right = (assembly.feed.batch(rows[:1]) for rows in (pairs.left, pairs.right))
    return partial(probe, left, right)


def activation_callbacks(
    attempt: Attempt, *, look: ActivationSource | None
) -> list[ActivationsCallback]:
    """The activation logger, if there is one.

    Args:
        attempt: Its run folder gets the files.
        look: From `activation_probe_for`.
    """
    section = attempt.session.config.callbacks.activations
    if section is None or look is None:
        return []
    files = EpochArtifacts(
        attempt.manager,
        folder=FOLDER,
        keep=section.keep_epochs,
        key="callbacks.activations.keep_epochs",
    )
    logger = ActivationsCallback(
        probe=look,
        files=files,
        metrics=attempt.session.metrics,
        metric_layers=section.metric_layers,
        position=lambda: attempt.state.position,
    )
    return [logger]


log = logging.getLogger(__name__)


def custom_callbacks(session: RunContext) -> list[keras.callbacks.Callback]:
    """The user's own callbacks; a warning names those that a restart makes forget.

    Raises:
        ConfigError: One cannot be imported or made.
    """
    callbacks = load_custom_callbacks(
        session.config.callbacks.custom, folder=session.loaded.folder
    )
    forgetful = [type(c).__name__ for c in callbacks if not is_stateful(c)]
    if forgetful:
        log.warning(
            "callbacks forget on restart",
            extra={
                "callbacks": forgetful,
                "remedy": "give them get_state() and set_state(state) if they count anything",
            },
        )
    return callbacks


def callback_stack(
    attempt: Attempt,
    *,
    custom: list[keras.callbacks.Callback],
    look: ActivationSource | None,
    steps_in_epoch: int,
) -> CallbackList:
    """Every callback of the run, in the order the loop calls them.

    Args:
        attempt: What they read, save and report.
        custom: From `custom_callbacks`.
        look: From `activation_probe_for`.
        steps_in_epoch: Gradient steps an epoch has.
    """
    config = attempt.session.config
    best = BestEpoch(config.checkpoint.monitor)
    deciders = build_control_callbacks(config.callbacks)

    def position() -> Position:
        return attempt.state.position

    checkpoint = CheckpointCallback(
        policy=SavePolicy(config.checkpoint.every_steps),
        position=position,
        best=best,
        save=lambda metrics, best: attempt.save(stack, metrics=metrics, best=best),
    )
    target_steps = config.training.epochs * steps_in_epoch
    watchers = _watchers(
        attempt, position=position, best=best, deciders=deciders, target_steps=target_steps
    )
    stack = CallbackList(
        ordered_callbacks(
            deciders,
            custom=custom,
            checkpoint=checkpoint,
            watchers=[*watchers, *activation_callbacks(attempt, look=look)],
        ),
        model=attempt.siamese.scorer,
        memory=attempt.memory,
    )
    return stack


def _watchers(
    attempt: Attempt,
    *,
    position: Callable[[], Position],
    best: BestEpoch,
    deciders: ControlCallbacks,
    target_steps: int,
) -> list[keras.callbacks.Callback]:
    """Metrics and progress, which change nothing."""
    session, config = attempt.session, attempt.session.config
    epochs, batch_size = config.training.epochs, config.training.global_batch_size
    session.metrics.set_targets(target_steps, epochs=epochs)
    metrics = MetricsCallback(
        session.metrics,
        position=position,
        best=best,
        pairs_per_step=batch_size,
        target_steps=target_steps,
        nonfinite_steps=lambda: attempt.state.nonfinite_steps,
        early_stopping=deciders.early_stopping,
    )
    progress = ProgressCallback(
        ProgressReporter(
            every_seconds=config.logging.every_seconds,
            total_steps=target_steps,
            total_epochs=epochs,
            screen=session.logging.screen,
        ),
        metrics=session.metrics,
        position=position,
        best=best,
        pairs_per_step=batch_size,
        epochs=epochs,
    )
    return [metrics, progress]
