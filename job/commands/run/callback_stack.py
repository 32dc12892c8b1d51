"""The callbacks of a run, put together from its configuration, its attempt and its metrics."""

import logging
from collections.abc import Callable

import keras

from job.callbacks.best import BestEpoch
from job.callbacks.checkpoint import CheckpointCallback
from job.callbacks.custom import load_custom_callbacks
from job.callbacks.memory import can_remember
from job.callbacks.metrics import MetricsCallback
from job.callbacks.progress import ProgressCallback
from job.callbacks.stack import CallbackStack, Deciders, build_deciders, build_stack
from job.checkpoints.policy import SavePolicy
from job.commands.run.activations import Look, activation_callbacks
from job.commands.run.attempt import Attempt
from job.commands.run.session import Session
from job.telemetry.progress import ProgressReporter
from job.types import Position

log = logging.getLogger(__name__)


def custom_callbacks(session: Session) -> list[keras.callbacks.Callback]:
    """The user's own callbacks; a warning names those that a restart makes forget.

    Raises:
        ConfigError: One cannot be imported or made.
    """
    callbacks = load_custom_callbacks(
        session.config.callbacks.custom, folder=session.loaded.folder
    )
    forgetful = [type(c).__name__ for c in callbacks if not can_remember(c)]
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
    look: Look | None,
    steps_in_epoch: int,
) -> CallbackStack:
    """Every callback of the run, in the order the loop calls them.

    Args:
        attempt: What they read, save and report.
        custom: From `custom_callbacks`.
        look: From `first_validation_pair`.
        steps_in_epoch: Gradient steps an epoch has.
    """
    config = attempt.session.config
    best = BestEpoch(config.checkpoint.monitor)
    deciders = build_deciders(config.callbacks)

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
    stack = CallbackStack(
        build_stack(
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
    deciders: Deciders,
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
