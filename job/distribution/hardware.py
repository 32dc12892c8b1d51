"""The software and hardware that affect the last bits of a result. Does not import TensorFlow.

Two attempts give the same bits if all of it is equal. A checkpoint records it, and a resume
logs what differs. The number of compute threads is chosen here, stored with the run, and used
again by every later attempt, whatever machine it runs on.
"""

import math
import os
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from job import __version__
from job.config.model import LstmConfig
from job.config.root import Config
from job.errors import ConfigError
from job.types import Kind

# By the name of the package, what installs it; the image for CPUs has a smaller TensorFlow.
_LIBRARIES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "numpy": ("numpy",),
}

# Instruction sets that TensorFlow's kernels are selected by.
_CPU_FEATURES = ("fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
# Limit of this container: quota and period in microseconds, or "max" (cgroup v2).
# Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max.
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
# Limit of this container in bytes, or "max"; and the memory of the machine.
# Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, memory.max.
MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")
MEMINFO = Path("/proc/meminfo")

# Another thread does not pay for less of a product.
_FLOPS_PER_THREAD = 2_000_000


def library_versions(
    kind: Kind | None = None, *, version: Callable[[str], str] = metadata.version
) -> dict[str, str]:
    """Versions of the program and of what decides about bits, by name; imports none of them.

    Args:
        kind: Kind of the items; Pillow decodes and resizes images.
        version: That of an installed distribution.
    """
    images = {"pillow": ("pillow",)} if kind == "image" else {}
    return {
        "python": platform.python_version(),
        "siamese-job": __version__,
        **{
            name: _version(name, distributions, version=version)
            for name, distributions in (_LIBRARIES | images).items()
        },
    }


def _version(name: str, distributions: Sequence[str], *, version: Callable[[str], str]) -> str:
    for distribution in distributions:
        with suppress(metadata.PackageNotFoundError):
            return version(distribution)
    # A build under another name says its version once it is imported.
    return str(getattr(sys.modules.get(name), "__version__", "unknown"))


def num_cores(cpu_max: Path = CPU_MAX) -> int:
    """Cores that this process may use: the container's limit, rounded up, if there is one."""
    return cpu_limit(cpu_max) or len(os.sched_getaffinity(0))


def choose_compute_threads(
    config: Config, *, stored: int | None, cpu_max: Path = CPU_MAX
) -> int:
    """Threads of one TensorFlow operation: they decide in which order numbers are summed.

    Args:
        config: The configuration of the run.
        stored: What the run's first attempt used; None for a new run.
        cpu_max: The file with the container's CPU limit.

    Returns:
        The stored number; else `training.compute_threads`, at most the CPU limit; else what
        the encoder makes use of.
    """
    if stored:
        return stored
    requested = config.training.compute_threads
    if requested is None:
        return fitting_threads(config, num_cores(cpu_max))
    return min(requested, cpu_limit(cpu_max) or requested)


def fitting_threads(config: Config, cores: int) -> int:
    """The threads of an operation that take the least time.

    The time steps of an LSTM are many small operations, two of which can always run at the
    same time: on the two sides of a pair, or in the gradient. Threads that share one of them
    wait for each other. Measured on two cores in `docs/adr/0011`.
    """
    encoder = config.model.encoder
    if not isinstance(encoder, LstmConfig):
        return cores
    # The recurrent product of a time step: both sides, four gates, two operations each.
    step_flops = 16 * config.training.global_batch_size * encoder.units**2
    return max(1, min(cores // 2, step_flops // _FLOPS_PER_THREAD))


def choose_devices(request: str, *, num_gpus: int, gpus_of_pod: int = 0) -> tuple[str, int]:
    """The devices that this process trains on.

    Args:
        request: `distribution.devices`.
        num_gpus: GPUs that TensorFlow sees.
        gpus_of_pod: GPUs that the pod asked for, which cost money whether or not they are used.

    Returns:
        "CPU" or "GPU", and how many.

    Raises:
        ConfigError: GPUs are asked for that TensorFlow does not see.
    """
    kind, _, count = request.partition(":")
    if kind == "cpu" or (kind == "auto" and not (num_gpus or gpus_of_pod)):
        return "CPU", int(count or 1)
    wanted = int(count or max(num_gpus, gpus_of_pod, 1))
    if wanted <= num_gpus:
        return "GPU", wanted
    asks = f"distribution.devices: {request!r} asks for {wanted} GPU(s)"
    if kind == "auto":
        asks = f"the pod has {gpus_of_pod} GPU(s), and distribution.devices is 'auto'"
    raise ConfigError(
        f"{asks}; TensorFlow sees {num_gpus}. Use an image with CUDA (`make image "
        "ACCELERATOR=cuda`) and a driver that fits it; or ask for at most that many, or for "
        "'cpu'."
    )


def cpu_limit(cpu_max: Path) -> int | None:
    """CPU limit of this container in whole cores, rounded up; None without a limit."""
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return None


def memory_limit(memory_max: Path = MEMORY_MAX, *, meminfo: Path = MEMINFO) -> int | None:
    """Bytes of memory that this container may use; None if unknown."""
    found = []
    try:
        found.append(int(memory_max.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no limit
        pass
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        total = dict(line.split(":", 1) for line in lines)["MemTotal"]
        found.append(int(total.split()[0]) * 1024)
    except (OSError, ValueError, KeyError):
        pass
    return min(found, default=None)


def cpu_features(cpuinfo: Path) -> str:
    """The relevant instruction sets of this CPU, in a fixed order.

    Args:
        cpuinfo: A file in the format of Linux' /proc/cpuinfo. Without it, the result is "".
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    flags = next((line.partition(":")[2].split() for line in lines if "flags" in line), [])
    return " ".join(feature for feature in _CPU_FEATURES if feature in flags)
