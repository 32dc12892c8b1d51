"""One training run on one page, from the configuration to `summary.json`.

Everything that can be rejected without TensorFlow is rejected before it is imported, which
takes seconds, and nothing is written before everything was accepted.
"""

import os
from functools import partial

from job.config.loader.load_config import LoadedConfig
from job.data.dataset import Dataset
from job.distribution.group import Group
from job.errors import ExitCode
from job.export.packages import require_packages
from job.run.context import RunContext, run_context
from job.run.directory import (
    RunDirectory,
    naming_finite_checkpoint,
    open_run_directory,
    reported_complete,
    require_checkpoint,
)
from job.run.follow import follow
from job.run.read_data import read_data
from job.run.workers import (
    dismiss_followers,
    joined_group,
    require_same_data,
    telling_followers,
)
from job.telemetry.logs.setup import quieten_tensorflow
from job.training.signals import StopSignal


def train(loaded: LoadedConfig, *, stop: StopSignal, from_step: int | None = None) -> None:
    """Trains a run to its end, or to the next safe point after a signal.

    Args:
        loaded: The configuration.
        stop: The signals of the process.
        from_step: Step of the checkpoint to resume from; None for the newest.

    Raises:
        PreemptedError: SIGTERM; the state is committed.
        InterruptedByUserError: Ctrl-C; the state is committed.
        JobError: Anything else that a person can act on.
    """
    with run_context(loaded, stop=stop) as run:
        if not run.cluster.is_chief:
            follow(run)
            return
        run.listener.waiting_for("the run directory")
        with telling_followers(run):
            directory = open_run_directory(
                run.config, env=os.environ, sleep=stop.sleep, check_stop=stop.raise_if_requested
            )
            directory.warn_if_ephemeral(run.pod)
            if from_step is not None:
                require_checkpoint(directory, step=from_step)
            elif reported_complete(directory, config=run.config):
                dismiss_followers(run, ExitCode.FINISHED, "the run was finished before")
                return
        with joined_group(run) as group:
            _lead(run, group, directory=directory, from_step=from_step)


def _lead(
    run: RunContext, group: Group, *, directory: RunDirectory, from_step: int | None
) -> None:
    """The part that all workers take part in, before TensorFlow is loaded."""
    require_packages(run.config.export)
    run.listener.waiting_for("reading the data")
    dataset = read_data(run)
    require_same_data(group, fingerprint=dataset.fingerprint)
    run.stop.raise_if_requested()
    # A second process and missing permissions are reported before TensorFlow is loaded.
    run.listener.waiting_for("access to the run directory")
    with directory.locked_if_exists():
        directory.check_permissions()
        run.listener.waiting_for("loading TensorFlow")
        quieten_tensorflow(os.environ)
        _train(run, group, directory=directory, dataset=dataset, from_step=from_step)


def _train(
    run: RunContext,
    group: Group,
    *,
    directory: RunDirectory,
    dataset: Dataset,
    from_step: int | None,
) -> None:
    """The part that needs TensorFlow."""
    from job.run.artifacts import RunArtifacts
    from job.run.callbacks import build_callbacks, prepare_callbacks
    from job.run.checkpointer import RunCheckpointer
    from job.run.describe_attempt import provenance_of
    from job.run.finalize import commit_and_stop, finalize
    from job.run.initial_weights import initialise
    from job.run.lead import Leader
    from job.run.prepare_training import agreed_settings, build_model
    from job.run.quality import build_validation, evaluate_model
    from job.run.summary import recorded_failure

    stop = run.stop
    stop.raise_if_requested()
    settings = agreed_settings(run.config, group, stored=directory.read_derived())
    components, training = build_model(run, dataset, settings)
    prepared = prepare_callbacks(run, components, dataset)
    lead = Leader(group, components.siamese, compares=bool(prepared.custom))
    validation = build_validation(run, components, dataset, group, lead.as_evaluated)
    initialise(run, directory, components.siamese, dataset)
    provenance = provenance_of(
        run, components, training, dataset, custom_code=prepared.custom_code
    )
    stop.raise_if_requested()

    # Nothing has been written so far, and everything that can be rejected has been.
    with directory.locked():
        checkpointer = RunCheckpointer.acquire(
            run, directory, provenance=provenance, siamese=components.siamese
        )
        artifacts = RunArtifacts(checkpointer.files)
        state = checkpointer.restore(from_step=from_step)
        with (
            recorded_failure(run, checkpointer, artifacts),
            naming_finite_checkpoint(directory),
        ):
            artifacts.write_quarantine(dataset.quarantine)
            if checkpointer.attempt > 1:
                artifacts.note_restart(checkpointer.attempt, step=state.position.global_step)
            callbacks = build_callbacks(run, prepared, checkpointer, training=training)
            checkpointer.attach(callbacks)
            loop = training.loop(callbacks, validate=validation, stop=stop, lead=lead)
            checkpointer.begin_training()
            lead.begin(tick=stop.note_progress)
            run.listener.finish_startup()
            loop.run(
                state,
                put_back=checkpointer.put_back,
                commit=partial(commit_and_stop, run, checkpointer),
            )
            run.listener.set_phase("reporting")
            checkpointer.load_best_weights()
            lead.share_variables()
            result = evaluate_model(run, dataset, validation)
            finalize(run, checkpointer, artifacts, components, dataset, result)
