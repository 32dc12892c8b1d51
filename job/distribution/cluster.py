"""The workers of a run, from the environment. Does not import TensorFlow.

The chart and `siamese-job launch` set two variables: `WORKER_ADDRESSES`, the `host:port` of
each worker in order, and `JOB_COMPLETION_INDEX`, the position of this process among them::

    cluster = cluster_of(os.environ)
    if not cluster.is_chief:
        follow(cluster.chief)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from job.errors import ConfigError

ADDRESSES = "WORKER_ADDRESSES"
INDEX = "JOB_COMPLETION_INDEX"


@dataclass(frozen=True)
class Address:
    """Where a worker listens.

    Attributes:
        host: Name or IPv4 address.
        port: The chief's port for its followers; that of TensorFlow is the next one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `host:port`.

        Raises:
            ConfigError: It is something else.
        """
        host, _, port = text.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_535:
            raise ConfigError(
                f"{ADDRESSES}: {text!r} is not HOST:PORT with a port from 1 to 65534. Give the "
                "addresses of all workers, separated by commas."
            )
        return cls(host, int(port))

    @property
    def tensorflow(self) -> str:
        """`host:port` of TensorFlow's server on this worker."""
        return f"{self.host}:{self.tensorflow_port}"

    @property
    def tensorflow_port(self) -> int:
        """Port of TensorFlow's server on this worker."""
        return self.port + 1

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Cluster:
    """The workers of a run, and the position of this process among them.

    Attributes:
        worker: Index of this process, from 0.
        addresses: Of all workers in order; empty for one process.
    """

    worker: int = 0
    addresses: tuple[Address, ...] = ()

    @property
    def num_workers(self) -> int:
        """Number of processes that train together."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this process decides, writes checkpoints and reports."""
        return self.worker == 0

    def part_of(self, rows: int) -> slice:
        """The rows of a global batch that are this worker's; all of them for one process.

        The rows are divided equally: `TrainStep` refuses a batch that replicas cannot share.
        """
        if self.num_workers == 1:
            return slice(None)
        own = rows // self.num_workers
        return slice(self.worker * own, (self.worker + 1) * own)

    def name(self, worker: int) -> str:
        """What logs call a worker."""
        role = "chief" if worker == 0 else "follower"
        return f"worker {worker} ({role}, {self.addresses[worker].host})"

    def cannot_listen(self, worker: int, reason: str) -> str:
        """What is wrong, and what to do, if TensorFlow cannot listen on a worker.

        Args:
            worker: Its index.
            reason: What its kernel, or TensorFlow, says.
        """
        return (
            f"{self.name(worker)}: TensorFlow cannot listen at "
            f"{self.addresses[worker].tensorflow}: {reason}. Free the port, or give another "
            f"one in {ADDRESSES}; TensorFlow takes the port after it. With `launch`, give the "
            "command again."
        )


SINGLE = Cluster()


def cluster_of(env: Mapping[str, str]) -> Cluster:
    """The cluster that `env` describes; a single process without `WORKER_ADDRESSES`.

    Args:
        env: Environment variables.

    Raises:
        ConfigError: The variables contradict each other.
    """
    listed = env.get(ADDRESSES, "")
    addresses = tuple(Address.parse(text) for text in listed.split(",") if text.strip())
    if len(addresses) < 2:
        return Cluster()
    if len(set(addresses)) < len(addresses):
        raise ConfigError(f"{ADDRESSES}: {listed!r} names a worker twice. Name each once.")
    index = env.get(INDEX, "")
    if not index.isdecimal() or int(index) >= len(addresses):
        raise ConfigError(
            f"{INDEX}: {index!r} is no worker of the {len(addresses)} in {ADDRESSES}. Allowed "
            f"is a number from 0 to {len(addresses) - 1}."
        )
    return Cluster(int(index), addresses)
