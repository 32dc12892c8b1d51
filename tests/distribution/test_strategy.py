"""The strategy of several workers, in a process of its own."""

import socket
import sys

import pytest

from job.config.distribution import DistributionConfig
from job.distribution.cluster import Address, Cluster
from job.errors import ConfigError
from job.run.launcher.loopback import free_port_pairs
from tests.forked import run_forked


def open_second_worker(ports: list[int]) -> None:
    from job.distribution.strategy import open_strategy

    cluster = Cluster(1, tuple(Address("127.0.0.1", port) for port in ports))
    with socket.create_server(("", cluster.addresses[1].tensorflow_port)):
        try:
            open_strategy(DistributionConfig(devices="cpu"), seed=0, cluster=cluster)
        except ConfigError as error:
            sys.stdout.write(str(error))


@pytest.mark.slow
def test_a_port_that_was_taken_since_the_workers_met_is_named() -> None:
    ports = free_port_pairs(2)
    said = run_forked(open_second_worker, ports)
    assert (
        f"worker 1 (follower, 127.0.0.1): TensorFlow cannot listen at 127.0.0.1:{ports[1] + 1}"
        in said
    )
    assert "Could not start gRPC server" in said
