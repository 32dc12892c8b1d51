"""Opens this machine's devices as one `tf.distribute` strategy."""

import keras
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.errors import ConfigError


def open_strategy(section: DistributionConfig, *, seed: int) -> tf.distribute.Strategy:
    """Makes the process deterministic and mirrors the model over the devices asked for.

    It must run before anything else touches a device: logical CPUs can not be added later.

    Args:
        section: Which devices.
        seed: The run's seed, for code that draws from the global generators.

    Returns:
        A MirroredStrategy, also over a single device: one code path for every topology.

    Raises:
        ConfigError: More devices are asked for than there are.
    """
    # Keras' callbacks print; without this their lines would land between those of the log.
    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return tf.distribute.MirroredStrategy(_devices(section.devices))


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
