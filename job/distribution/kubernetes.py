"""The Kubernetes pod of this process, from the environment variables that the chart sets.

::

    pod = pod_of(os.environ)
    if pod is not None:
        log.info("in a pod", extra={"pod": pod.name})
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Mount points whose content is lost with the pod: the chart's emptyDir volumes and the root.
SCRATCH = frozenset({Path("/scratch"), Path("/tmp"), Path("/dev/shm"), Path("/")})

_DEFAULT_GRACE_SECONDS = 30


@dataclass(frozen=True)
class Pod:
    """A pod of an Indexed Job.

    Attributes:
        name: Name of the pod; "" if the chart did not set it.
        namespace: Its namespace; "" if the chart did not set it.
        release: Helm release that made the Job; "" if the chart did not set it.
        job_uid: UID of the Job.
        num_failures: Failed pods of this index that count towards `backoffLimitPerIndex`.
        num_preemptions: Failed pods of this index that do not count.
        grace_seconds: Time from SIGTERM to SIGKILL; the default of Kubernetes if not set.
        max_startup_seconds: Time in which training must begin, or the startup probe has the pod
            killed; None if there is no such probe.
        num_gpus: GPUs that the pod asked for.
    """

    name: str
    namespace: str
    release: str
    job_uid: str
    num_failures: int
    num_preemptions: int
    grace_seconds: int
    max_startup_seconds: int | None
    num_gpus: int = 0


def pod_of(env: Mapping[str, str]) -> Pod | None:
    """The pod that `env` describes; None outside a Job of the chart.

    Args:
        env: `JOB_UID` and `POD_NAME` from the pod's labels and name, `JOB_FAILURES` and
            `JOB_PREEMPTIONS` from the annotations `batch.kubernetes.io/job-index-failure-count`
            and `batch.kubernetes.io/job-index-ignored-failure-count`, which are absent or empty
            while they are zero. `POD_NAMESPACE`, `POD_RELEASE`, `POD_GRACE_SECONDS`,
            `POD_MAX_STARTUP_SECONDS` and `POD_GPUS` from the pod and the chart's values.
    """
    job_uid = env.get("JOB_UID", "")
    if not job_uid:
        return None
    return Pod(
        name=env.get("POD_NAME", ""),
        namespace=env.get("POD_NAMESPACE", ""),
        release=env.get("POD_RELEASE", ""),
        job_uid=job_uid,
        num_failures=_count(env.get("JOB_FAILURES", "")),
        num_preemptions=_count(env.get("JOB_PREEMPTIONS", "")),
        grace_seconds=_count(env.get("POD_GRACE_SECONDS", "")) or _DEFAULT_GRACE_SECONDS,
        max_startup_seconds=_count(env.get("POD_MAX_STARTUP_SECONDS", "")) or None,
        num_gpus=_count(env.get("POD_GPUS", "")),
    )


def host_of(pod: Pod | None) -> str:
    """Where this process runs, for messages.

    A pod is named by its own name: all pods of an index of a Job have one host name.
    """
    return pod.name if pod and pod.name else socket.gethostname()


def ends_with_the_pod(
    folder: Path, *, is_mount: Callable[[Path], bool] = os.path.ismount
) -> bool:
    """Whether files in `folder` are lost with the pod because it is on no volume.

    Args:
        folder: Absolute, or relative to the working directory. It need not exist.
        is_mount: Returns whether a path is a mount point.
    """
    absolute = Path(os.path.abspath(folder))
    mounted = next(path for path in (absolute, *absolute.parents) if is_mount(path))
    return mounted in SCRATCH


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
