"""What besides the configuration decides the last bits of a result. Free of TensorFlow.

Two attempts give the same bits when all of this is equal; a checkpoint records it, and a resume
elsewhere says what differs.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

# The instruction sets that TensorFlow's kernels choose between.
_CPU_FEATURES = ("fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def describe_environment(
    *, libraries: Mapping[str, str], num_replicas: int, global_batch_size: int, devices: str
) -> dict[str, Mapping[str, str | int | float | bool]]:
    """The software and hardware this process computes with.

    Args:
        libraries: Versions of the libraries that compute.
        num_replicas: Devices that share a global batch.
        global_batch_size: Pairs in one optimizer step.
        devices: Kind of the devices, "CPU" or "GPU".

    Returns:
        `versions` by library and `topology` by name.
    """
    return {
        "versions": {"python": platform.python_version(), **libraries},
        "topology": {
            "replicas": num_replicas,
            "global_batch_size": global_batch_size,
            "devices": devices,
            "threads": len(os.sched_getaffinity(0)),
            "cpu": f"{platform.machine()} {cpu_features(Path('/proc/cpuinfo'))}".strip(),
        },
    }


def cpu_features(cpuinfo: Path) -> str:
    """Which of the instruction sets that matter this CPU has, in a fixed order.

    Args:
        cpuinfo: A file in the format of Linux' /proc/cpuinfo; "" is returned without it.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    flags = next((line.partition(":")[2].split() for line in lines if "flags" in line), [])
    return " ".join(feature for feature in _CPU_FEATURES if feature in flags)
