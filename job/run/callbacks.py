"""The callbacks of a run, built from its configuration, and their order."""

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras

from job.callbacks.activations import DIRECTORY, ActivationsCallback, require_layers
from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import (
    CallbackList,
    control_callbacks,
    is_stateful,
    ordered_callbacks,
)
from job.callbacks.checkpoint import CheckpointCallback
from job.callbacks.event_files import EVENTS, SUFFIX, EventFilesCallback
from job.callbacks.progress import ProgressCallback
from job.callbacks.prometheus import MetricsCallback
from job.callbacks.user import load_custom_callbacks
from job.checkpoints.fenced_files import EpochFiles, FencedFiles
from job.data.dataset import Dataset
from job.models.activation_probe import ActivationProbe, Activations
from job.run.checkpointer import RunCheckpointer
from job.run.components import Components
from job.run.context import RunContext
from job.run.prepare_training import Training
from job.telemetry.progress_reporter import ProgressReporter
from job.types import Position

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedCallbacks:
    """The parts that can be rejected, built before anything is written.

    Attributes:
        model: The model that callbacks see.
        custom: The user's callbacks.
        custom_code: Hash of their source, by module.
        probe: Computes the activations of one pair; None if activations are not logged.
    """

    model: keras.Model
    custom: list[keras.callbacks.Callback]
    custom_code: dict[str, str]
    probe: Callable[[], Activations] | None


def prepare_callbacks(
    run: RunContext, components: Components, dataset: Dataset
) -> PreparedCallbacks:
    """Loads the user's callbacks and finds the layers to log.

    Raises:
        ConfigError: A callback cannot be imported or built, or the model does not have a layer
            of `callbacks.activations.metric_layers`.
    """
    section = run.config.callbacks
    custom = load_custom_callbacks(section.custom, folder=run.loaded.folder)
    forgetful = [type(one).__name__ for one in custom if not is_stateful(one)]
    if forgetful:
        log.warning(
            "callbacks forget on restart",
            extra={
                "callbacks": forgetful,
                "remedy": "add get_state() and set_state(state) if they count anything",
            },
        )
    probe = None
    if section.activations is not None:
        layers = ActivationProbe(components.siamese)
        require_layers(section.activations.metric_layers, known=layers.layers)
        pairs = dataset.pairs["validation"]
        first = (components.feed.batch(rows[:1]) for rows in (pairs.left, pairs.right))
        probe = partial(layers, *first)
    return PreparedCallbacks(components.siamese.scorer, custom, _code_of(custom), probe)


def _code_of(callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, str]:
    """SHA-256 of each module that defines a custom callback, shortened."""
    modules = {type(one).__module__: sys.modules[type(one).__module__] for one in callbacks}
    return {
        f"callback {name}": hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()[:12]
        for name, module in sorted(modules.items())
        if module.__file__ is not None
    }


def build_callbacks(
    run: RunContext,
    prepared: PreparedCallbacks,
    checkpointer: RunCheckpointer,
    *,
    training: Training,
) -> CallbackList:
    """Every callback of the run, in the order the loop calls them."""
    best = BestEpoch(run.config.best_monitor)
    control = control_callbacks(run.config.callbacks)

    def position() -> Position:
        return checkpointer.state.position

    run.logging.track_step(lambda: position().global_step)
    checkpoint = CheckpointCallback(
        checkpointer,
        policy=training.schedule.saves,
        position=position,
        epochs=training.schedule.epochs,
        best=best,
        now=time.monotonic,
    )
    run.listener.set_targets(training.target_steps, epochs=training.schedule.epochs)
    stoppers = (c for c in control if isinstance(c, keras.callbacks.EarlyStopping))
    metrics = MetricsCallback(
        run.metrics,
        set_phase=run.listener.set_phase,
        position=position,
        best=best,
        pairs_per_step=run.config.training.global_batch_size,
        target_steps=training.target_steps,
        nonfinite_steps=lambda: checkpointer.state.nonfinite_steps,
        early_stopping=next(stoppers, None),
    )
    progress = _progress(run, training, position=position, best=best)
    activations = _activations(run, prepared, checkpointer.files, position=position)
    events = _event_files(run, checkpointer)
    ordered = ordered_callbacks(
        control=control,
        custom=prepared.custom,
        checkpoint=checkpoint,
        observers=[metrics, progress, *activations, *events],
    )
    return CallbackList(ordered, model=prepared.model, schedule=training.rate)


def _progress(
    run: RunContext, training: Training, *, position: Callable[[], Position], best: BestEpoch
) -> ProgressCallback:
    epochs = training.schedule.epochs
    reporter = ProgressReporter(
        every_seconds=run.config.logging.every_seconds,
        total_steps=training.target_steps,
        total_epochs=epochs,
        terminal=run.logging.terminal,
    )
    return ProgressCallback(
        reporter,
        metrics=run.metrics,
        position=position,
        best=best,
        pairs_per_step=run.config.training.global_batch_size,
        epochs=epochs,
    )


def _activations(
    run: RunContext,
    prepared: PreparedCallbacks,
    written: FencedFiles,
    *,
    position: Callable[[], Position],
) -> list[ActivationsCallback]:
    section = run.config.callbacks.activations
    if section is None or prepared.probe is None:
        return []
    files = EpochFiles(
        written,
        directory=DIRECTORY,
        keep=section.keep_epochs,
        key="callbacks.activations.keep_epochs",
    )
    logger = ActivationsCallback(
        probe=prepared.probe,
        files=files,
        listener=run.listener,
        metric_layers=section.metric_layers,
        position=position,
    )
    return [logger]


def _event_files(run: RunContext, checkpointer: RunCheckpointer) -> list[EventFilesCallback]:
    if not run.config.callbacks.event_files:
        return []
    files = {
        part: EpochFiles(
            checkpointer.files,
            directory=f"{EVENTS}/{part}",
            keep=None,
            key="callbacks.event_files: false",
            suffix=SUFFIX,
        )
        for part in ("train", "validation")
    }
    return [
        EventFilesCallback(files, history=lambda: checkpointer.state.history, clock=time.time)
    ]
