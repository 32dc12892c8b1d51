"""The software and hardware that affect the last bits of a result. Does not import TensorFlow.

Two attempts give the same bits if all of it is equal. A checkpoint records it, and a resume
logs what differs.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

# Instruction sets that TensorFlow's kernels are selected by.
_CPU_FEATURES = ("fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def describe_environment(
    *, libraries: Mapping[str, str], num_replicas: int, global_batch_size: int, devices: str
) -> dict[str, Mapping[str, str | int | float | bool]]:
    """The software and hardware this process computes with.

    Args:
        libraries: Versions of the libraries that affect results.
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
