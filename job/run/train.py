"""One training run on one page, from the configuration to `summary.json`.

Everything that can be rejected without TensorFlow is rejected before it is imported, which
takes seconds, and nothing is written before everything was accepted.
"""

import os
from functools import partial

from job.config.loader.load_config import LoadedConfig
from job.data.dataset import Dataset
from job.distribution.group import Group
from job.distribution.messages import Message
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
from job.run.follow import BEGIN, BUILD, follow
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
    from job.distribution.hardware import choose_compute_threads
    from job.run.artifacts import RunArtifacts
    from job.run.callbacks import build_callbacks, prepare_callbacks
    from job.run.checkpointer import RunCheckpointer
    from job.run.components import build_components, set_info_metrics
    from job.run.describe_attempt import provenance_of
    from job.run.finalize import commit_and_stop, finalize
    from job.run.initial_weights import initialise
    from job.run.lead import Leader
    from job.run.prepare_training import build_training
    from job.run.quality import Validation, evaluate_model, split_scorer, validation_pairs
    from job.run.summary import recorded_failure
    from job.training.state import read_variables

    config, stop = run.config, run.stop
    stop.raise_if_requested()
    derived = directory.read_derived()
    threads = choose_compute_threads(
        config.training.compute_threads, stored=derived.get("compute_threads")
    )
    stored_epochs = derived.get("epochs_budget")
    group.tell(Message(BUILD, {"compute_threads": threads, "epochs_budget": stored_epochs}))
    components = build_components(
        config, dataset=dataset, stored_threads=threads, cluster=run.cluster, pod=run.pod
    )
    stop.install()  # TensorFlow may have replaced the handlers
    set_info_metrics(run, components, dataset_sha256=dataset.fingerprint)
    training = build_training(
        config,
        components,
        dataset,
        stored_grid_steps=derived.get("grid_steps"),
        stored_epochs=stored_epochs,
        cluster=run.cluster,
    )
    prepared = prepare_callbacks(run, components, dataset)
    pairs = validation_pairs(
        dataset.pairs["validation"], count=config.evaluation.validation_pairs
    )
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
            splits = split_scorer(
                config,
                components,
                dataset,
                check_stop=stop.raise_if_requested,
                group=group,
            )
            lead = Leader(group, components.siamese, compares=bool(prepared.custom))
            validate = Validation(
                splits,
                pairs=pairs,
                read_weights=lambda: read_variables(components.siamese.weights()),
                listener=run.listener,
                as_evaluated=lead.as_evaluated,
            )
            loop = training.loop(callbacks, validate=validate, stop=stop, lead=lead)
            checkpointer.begin_training()
            group.tell(Message(BEGIN))
            group.wait_with(stop.note_progress)
            run.listener.finish_startup()
            loop.run(
                state,
                put_back=checkpointer.put_back,
                commit=partial(commit_and_stop, run, checkpointer),
            )
            run.listener.set_phase("reporting")
            checkpointer.load_best_weights()
            lead.share_variables()
            result = evaluate_model(run, dataset, splits=splits, validation=validate)
            finalize(run, checkpointer, artifacts, components, dataset, result)
