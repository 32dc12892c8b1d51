"""Opens the devices of all workers as one `tf.distribute` strategy."""

from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import (
    coordination_config_pb2,
)
from tensorflow.python.eager import context

from job.config.distribution import DistributionConfig
from job.distribution.cluster import SINGLE, Cluster
from job.distribution.hardware import choose_devices, num_cores
from job.errors import ConfigError

# The line of the kernel module has the driver's version.
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
# TensorFlow aborts a process that has lost another one. `group.Group` must come first, which
# ends it with an exit code, so TensorFlow waits longer than any of its limits.
_TENSORFLOW_REGISTER_MS = 120_000
_TENSORFLOW_HEARTBEAT_MS = 600_000
# Nobody waits at TensorFlow's exit: the workers have said farewell.
_TENSORFLOW_SHUTDOWN_MS = 1_000


def open_strategy(
    section: DistributionConfig,
    *,
    seed: int,
    compute_threads: int | None = None,
    tf32: bool = False,
    cluster: Cluster = SINGLE,
    gpus_of_pod: int = 0,
) -> tf.distribute.Strategy:
    """Makes the process deterministic and creates a strategy over the requested devices.

    It must run before anything else uses a device: logical CPUs cannot be added later.

    Args:
        section: The devices.
        seed: The run's seed, for code that draws from the global generators.
        compute_threads: Threads of one operation; None: TensorFlow's choice, every core. As
            many operations run at the same time as there are cores.
        tf32: Whether float32 products may be computed in TF32, with 10 bits of mantissa.
        cluster: The workers. All of them must get here at about the same time: TensorFlow waits
            for them and holds the interpreter's lock meanwhile.
        gpus_of_pod: GPUs that the pod asked for; 0 outside a pod.

    Returns:
        A MultiWorkerMirroredStrategy for several workers, a OneDeviceStrategy for one device,
        else a MirroredStrategy. The latter two compute the same numbers on one device; the
        former of them has no mirrored variables and merges nothing.

    Raises:
        ConfigError: More devices are requested than available, or the pod asked for GPUs that
            TensorFlow does not see; or TensorFlow's port of this worker was taken after
            `rendezvous.meet` had found it free. The others wait for this worker in vain.
    """
    # Keras callbacks print progress; this keeps their output out of the log.
    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    if compute_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(compute_threads)
        tf.config.threading.set_inter_op_parallelism_threads(num_cores())
    devices = _open_devices(section.devices, gpus_of_pod=gpus_of_pod)
    if cluster.num_workers > 1 or len(devices) > 1:
        # It merges operations of the replicas of one process, which adds up numbers in another
        # order than replicas in several processes do.
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    if cluster.num_workers > 1:
        return _several_workers(cluster, devices)
    if len(devices) == 1:
        return tf.distribute.OneDeviceStrategy(devices[0])
    return tf.distribute.MirroredStrategy(devices)


def _several_workers(cluster: Cluster, devices: list[str]) -> tf.distribute.Strategy:
    if len(devices) > 1 and devices[0].startswith("CPU"):
        raise ConfigError(
            f"distribution.devices: {len(devices)} CPU devices on each of "
            f"{cluster.num_workers} workers. TensorFlow has one CPU device on a worker: use "
            "'cpu', or more workers."
        )
    job = coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=cluster.num_workers)
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=_TENSORFLOW_REGISTER_MS,
        heartbeat_timeout_in_ms=_TENSORFLOW_HEARTBEAT_MS,
        shutdown_barrier_timeout_in_ms=_TENSORFLOW_SHUTDOWN_MS,
        coordinated_jobs=[job],
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": [one.tensorflow for one in cluster.addresses]}),
        task_type="worker",
        task_id=cluster.worker,
        rpc_layer="grpc",
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.UnknownError as error:
        if "gRPC server" not in error.message:
            raise
        raise ConfigError(cluster.cannot_listen(cluster.worker, error.message)) from error


def _open_devices(request: str, *, gpus_of_pod: int) -> list[str]:
    """Names of the devices that are asked for; all others are hidden.

    With a GPU in sight, Keras would choose kernels that a CPU does not have, and TensorFlow
    would take the memory of GPUs that others use.
    """
    gpus = tf.config.list_physical_devices("GPU")
    kind, count = choose_devices(request, num_gpus=len(gpus), gpus_of_pod=gpus_of_pod)
    wanted = gpus[:count] if kind == "GPU" else []
    tf.config.set_visible_devices(wanted, "GPU")
    for gpu in wanted:
        tf.config.experimental.set_memory_growth(gpu, True)
    if kind == "CPU" and count > 1:
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, logical)
    return [f"{kind}:{index}" for index in range(count)]


def describe_gpu() -> dict[str, str]:
    """Model, driver and CUDA libraries of the first GPU in use; empty without one."""
    gpus = tf.config.get_visible_devices("GPU")
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
