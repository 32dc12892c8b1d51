"""Opens this machine's devices as one `tf.distribute` strategy."""

from pathlib import Path

import keras
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.errors import ConfigError

# The line of the kernel module has the driver's version.
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def open_strategy(
    section: DistributionConfig,
    *,
    seed: int,
    compute_threads: int | None = None,
    tf32: bool = False,
) -> tf.distribute.Strategy:
    """Makes the process deterministic and creates a strategy over the requested devices.

    It must run before anything else uses a device: logical CPUs cannot be added later.

    Args:
        section: The devices.
        seed: The run's seed, for code that draws from the global generators.
        compute_threads: Threads of one operation; None: TensorFlow's choice, every core.
        tf32: Whether float32 products may be computed in TF32, with 10 bits of mantissa.

    Returns:
        A OneDeviceStrategy for one device, else a MirroredStrategy. Both compute the same
        numbers on one device; the former has no mirrored variables and merges nothing.

    Raises:
        ConfigError: More devices are requested than available.
    """
    # Keras callbacks print progress; this keeps their output out of the log.
    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    if compute_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(compute_threads)
        tf.config.threading.set_inter_op_parallelism_threads(compute_threads)
    devices = _devices(section.devices)
    if len(devices) == 1:
        return tf.distribute.OneDeviceStrategy(devices[0])
    return tf.distribute.MirroredStrategy(devices)


def _devices(request: str) -> list[str]:
    kind, _, count = request.partition(":")
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "auto":
        kind, count = ("gpu", str(len(gpus))) if gpus else ("cpu", "1")
    if kind == "gpu":
        wanted = int(count or len(gpus) or 1)
        if wanted > len(gpus):
            raise ConfigError(
                f"distribution.devices: {request!r} asks for {wanted} GPU(s), TensorFlow sees "
                f"{len(gpus)}. Ask for at most that many, or use 'auto' or 'cpu'."
            )
        return [f"GPU:{index}" for index in range(wanted)]
    wanted = int(count or 1)
    if wanted > 1:
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(wanted)]
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, logical)
    return [f"CPU:{index}" for index in range(wanted)]


def describe_gpu() -> dict[str, str]:
    """Model, driver and CUDA libraries of the first GPU; empty without one."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return {}
    build = tf.sysconfig.get_build_info()
    details = tf.config.experimental.get_device_details(gpus[0])
    try:
        driver = _NVIDIA_DRIVER.read_text(encoding="ascii", errors="replace").partition("\n")[0]
    except OSError:
        driver = "unknown"
    return {
        "gpu": str(details.get("device_name", "unknown")),
        "gpu_driver": driver,
        "cuda": str(build.get("cuda_version", "unknown")),
        "cudnn": str(build.get("cudnn_version", "unknown")),
    }
