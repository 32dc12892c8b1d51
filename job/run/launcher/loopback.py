"""Where the workers of one machine meet: ports of the loopback, told as a Job tells its pods.

::

    ports = free_port_pairs(2)
    env = worker_environment(os.environ, worker=1, ports=ports)
"""

import random
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from job.distribution.cluster import ADDRESSES, INDEX
from job.errors import ConfigError

# Ports below those that the kernel gives to outgoing connections.
_PORTS = range(20_000, 32_000)
_ATTEMPTS = 1_000


def worker_environment(
    env: Mapping[str, str], *, worker: int, ports: Sequence[int]
) -> dict[str, str]:
    """The variables of a worker on the loopback.

    Args:
        env: What all workers share.
        worker: Its index.
        ports: The first port of each worker.
    """
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    return {**env, ADDRESSES: addresses, INDEX: str(worker)}


def free_port_pairs(count: int) -> list[int]:
    """Finds pairs of free neighbouring ports on the loopback; returns the first of each.

    Raises:
        ConfigError: There are not so many.
    """
    found: list[int] = []
    # An unseeded source: two launches at a time look in different places.
    candidates = random.Random().sample(_PORTS[::2], _ATTEMPTS)
    with ExitStack() as held:
        for port in candidates:
            if len(found) == count:
                break
            with ExitStack() as pair:
                try:
                    for number in (port, port + 1):
                        pair.enter_context(socket.socket()).bind(("127.0.0.1", number))
                except OSError:
                    continue
                held.enter_context(pair.pop_all())
                found.append(port)
    if len(found) < count:
        raise ConfigError(
            f"--workers: {count} workers need as many pairs of free ports from {_PORTS.start} "
            f"to {_PORTS.stop} (found {len(found)}). Give fewer, or end what uses the ports."
        )
    return found
