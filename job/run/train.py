"""The part of `train` that needs TensorFlow: one attempt, from assembly to the last commit."""

import logging
import platform
import time
from collections.abc import Callable, Mapping

from job import __version__
from job.callbacks.callback_list import CallbackList
from job.checkpoints.policy import SavePolicy
from job.config.monitors import MONITORS
from job.config.resume import as_record
from job.data.dataset import Dataset
from job.distribution.hardware import describe_environment
from job.evaluation.evaluate import measure, score_split
from job.models.pair_scorer import PairScorer
from job.run.callbacks import activation_probe_for, callback_stack, custom_callbacks
from job.run.checkpointer import Attempt
from job.run.components import Components, build_components, library_versions
from job.run.context import RunContext
from job.run.directory import RunDirectory, config_sha256
from job.run.finalize import finalize_run, write_quarantine
from job.run.summary import recorded_failure
from job.training.loop import Schedule, TrainingData, TrainingLoop
from job.training.step import TrainStep


def set_info_metrics(session: RunContext, *, assembly: Components, dataset_sha256: str) -> None:
    """Fills `siamese_build_info` and `siamese_run_info`.

    Args:
        session: Surroundings of the process.
        assembly: The model on its devices.
        dataset_sha256: Fingerprint of the data.
    """
    config = session.config
    versions = library_versions(config.data.kind)
    session.metrics.describe_build(
        version=__version__,
        revision="",  # known to whoever builds an image, not to the package
        python_version=platform.python_version(),
        tensorflow_version=versions["tensorflow"],
        keras_version=versions["keras"],
    )
    stopping = config.callbacks.early_stopping
    session.metrics.describe_run(
        run_id=config.run.name,
        encoder=config.model.encoder.kind,
        head=config.model.head.kind,
        loss=config.training.loss.kind,
        optimizer=config.training.optimizer.kind,
        global_batch_size=config.training.global_batch_size,
        learning_rate=config.training.optimizer.learning_rate,
        precision=config.model.precision,
        strategy=f"{type(assembly.strategy).__name__}({len(assembly.devices)})",
        dataset=dataset_sha256[:12],
        monitor=stopping.monitor if stopping else config.checkpoint.monitor,
        seed=config.run.seed,
        config_hash=config_sha256(as_record(config))[:12],
    )


log = logging.getLogger(__name__)


def train(session: RunContext, *, dataset: Dataset, folder: RunDirectory) -> None:
    """Trains the run to its end, or to the next safe point after a signal.

    Raises:
        PreemptedError: SIGTERM; the state is committed.
        InterruptedByUserError: Ctrl-C; the state is committed.
        JobError: Anything else that a person can act on.
    """
    config = session.config
    session.stop.check()
    assembly = build_components(config, dataset=dataset)
    # TensorFlow may have put handlers of its own in place while it opened the devices.
    session.stop.install()
    set_info_metrics(session, assembly=assembly, dataset_sha256=dataset.fingerprint)
    batch_size = config.training.global_batch_size
    step = TrainStep(assembly.siamese, strategy=assembly.strategy, global_batch_size=batch_size)
    data = TrainingData(
        assembly.pairs,
        assembly.feed,
        dataset.items,
        batch_size,
        seed=config.run.seed,
        threads=config.training.input_threads,
    )
    custom = custom_callbacks(session)
    look = activation_probe_for(
        config.callbacks.activations, assembly=assembly, dataset=dataset
    )
    session.stop.check()
    steps_in_epoch = data.steps_in_epoch
    # Until here nothing was written, and everything that can be refused has been.
    with folder.locked():
        attempt = _begin(session, dataset=dataset, assembly=assembly, folder=folder)
        with recorded_failure(attempt):
            write_quarantine(attempt.manager, dataset.quarantine)
            scorer = PairScorer(assembly.siamese, poll=session.stop.check)
            stack = callback_stack(
                attempt, custom=custom, look=look, steps_in_epoch=steps_in_epoch
            )
            validate = _validation(session, dataset=dataset, assembly=assembly, scorer=scorer)
            _train(attempt, step=step, data=data, stack=stack, validate=validate)
            finalize_run(
                attempt,
                stop_reason=stack.stop_reason,
                dataset=dataset,
                assembly=assembly,
                scorer=scorer,
                folder=folder,
            )


def _begin(
    session: RunContext, *, dataset: Dataset, assembly: Components, folder: RunDirectory
) -> Attempt:
    environment = describe_environment(
        libraries=library_versions(dataset.kind),
        num_replicas=assembly.strategy.num_replicas_in_sync,
        global_batch_size=session.config.training.global_batch_size,
        devices=assembly.device_kind,
    )
    return Attempt.begin(
        session,
        siamese=assembly.siamese,
        folder=folder,
        fingerprint=dataset.fingerprint,
        environment=environment,
    )


def _train(
    attempt: Attempt,
    *,
    step: TrainStep,
    data: TrainingData,
    stack: CallbackList,
    validate: Callable[[], Mapping[str, float]],
) -> None:
    """Runs the loop; returns when training has ended, and raises when it was interrupted."""
    session, config = attempt.session, attempt.session.config
    schedule = Schedule(
        config.training.epochs,
        config.training.steps_per_call,
        SavePolicy(config.checkpoint.every_steps),
    )
    loop = TrainingLoop(
        step=step,
        data=data,
        schedule=schedule,
        callbacks=stack,
        validate=validate,
        stop=session.stop,
    )
    session.health.finish_startup()
    if loop.run(attempt.state) == "interrupted":
        _commit_and_stop(attempt, stack=stack)


def _commit_and_stop(attempt: Attempt, *, stack: CallbackList) -> None:
    session = attempt.session
    position = attempt.state.position
    log.info("stopping", extra={"signal": session.stop.name, "step": position.global_step})
    attempt.save(stack, metrics={}, best=None)
    raise session.stop.error(
        f"Step {position.global_step} (epoch {position.epoch + 1}) is committed; the same "
        "command goes on from there."
    )


def _validation(
    session: RunContext, *, dataset: Dataset, assembly: Components, scorer: PairScorer
) -> Callable[[], Mapping[str, float]]:
    """What the loop calls at an epoch's end: every validation pair, exactly once."""

    def validate() -> Mapping[str, float]:
        session.metrics.set_phase("validating")
        started = time.monotonic()
        scores = score_split(
            scorer,
            feed=assembly.feed,
            pairs=dataset.pairs["validation"],
            batch_size=session.config.evaluation.batch_size,
            items=dataset.items,
        )
        measured = measure(scores, threshold=0.5)
        session.metrics.validation_finished(time.monotonic() - started)
        session.metrics.set_phase("training")
        named = {f"val_{name}": value for name, value in measured.items()}
        return {name: value for name, value in named.items() if name in MONITORS}

    return validate
