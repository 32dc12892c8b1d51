"""Who this process is and what it runs, for the records of its checkpoints."""

import os
import platform
import secrets
from collections.abc import Mapping
from pathlib import Path

from job.checkpoints.provenance import Provenance
from job.checkpoints.records import Owner
from job.config.resume import as_record
from job.data.dataset import Dataset
from job.distribution.hardware import cpu_features, library_versions
from job.distribution.kubernetes import host_of
from job.distribution.strategy import describe_gpu
from job.run.components import Components
from job.run.context import RunContext
from job.run.prepare_training import Training
from job.training.budget import budgeted_epochs


def owner_of(run: RunContext) -> Owner:
    """This process as the holder of a run."""
    pod = run.pod
    return Owner(
        namespace=pod.namespace if pod else "",
        release=pod.release if pod else "",
        job=pod.job_uid if pod else "",
        host=host_of(pod),
        pid=os.getpid(),
        nonce=secrets.token_hex(8),
    )


def provenance_of(
    run: RunContext,
    components: Components,
    training: Training,
    dataset: Dataset,
    *,
    custom_code: Mapping[str, str],
) -> Provenance:
    """What decides the bits of this attempt.

    Args:
        run: The surroundings of the process.
        components: The model and its devices.
        training: The schedule.
        dataset: The data.
        custom_code: Hash of the source of custom callbacks, by module.
    """
    config = run.config
    return Provenance(
        config.run.name,
        as_record(config),
        dataset.fingerprint,
        versions={**library_versions(dataset.kind), **custom_code},
        topology={
            "replicas": components.strategy.num_replicas_in_sync,
            "global_batch_size": config.training.global_batch_size,
            "devices": components.device_kind,
            "threads": components.compute_threads,
            "cpu": f"{platform.machine()} {cpu_features(Path('/proc/cpuinfo'))}".strip(),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
            "tf32": config.training.tf32,
            **describe_gpu(),
        },
        derived={
            "grid_steps": training.schedule.grid_steps,
            "compute_threads": components.compute_threads,
            "epochs_budget": budgeted_epochs(training.data.steps_in_epoch),
        },
    )
