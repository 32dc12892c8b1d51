import pytest

from benchmarks.scaling import Network, all_reduce_seconds, efficiency

NETWORK = Network(bytes_per_second=1e9, latency_seconds=1e-4)


def test_one_worker_waits_for_nobody():
    assert all_reduce_seconds(1, num_bytes=1e9, network=NETWORK) == 0.0
    assert efficiency(1, compute_seconds=1.0, num_bytes=1e9, network=NETWORK) == 1.0


@pytest.mark.parametrize(("workers", "seconds"), [(2, 1.0 + 2e-4), (4, 1.5 + 6e-4)])
def test_a_ring_sends_twice_all_but_one_share(workers, seconds):
    found = all_reduce_seconds(workers, num_bytes=1e9, network=NETWORK)
    assert found == pytest.approx(seconds)


def test_more_workers_are_less_efficient():
    shares = [
        efficiency(count, compute_seconds=1.0, num_bytes=1e8, network=NETWORK)
        for count in (1, 2, 8, 32)
    ]
    assert shares == sorted(shares, reverse=True)
