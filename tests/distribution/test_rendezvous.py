"""Workers meet over loopback, each in a thread."""

import logging
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from job.distribution import rendezvous
from job.distribution.cluster import Address, Cluster
from job.distribution.group import Group
from job.distribution.messages import Message
from job.distribution.rendezvous import Patience, differences, meet, port_problem
from job.errors import ConfigError, ExitCode, JobError, PeerLostError
from job.run.launcher.loopback import free_port_pairs

SAME = {"training": {"epochs": 3}, "versions": {"keras": "3.15"}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(rendezvous, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(rendezvous, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(rendezvous, "_LOG_EVERY_SECONDS", 0.2)


class Worker:
    """One worker of several, in a thread."""

    def __init__(self, worker, addresses, *, hello=SAME, arrival_seconds=10.0):
        cluster = Cluster(worker, addresses)
        names = [cluster.name(number) for number in range(len(addresses))]
        self.group = Group(worker, names)
        self.error = None
        self.waited_for = []
        patience = Patience(arrival_seconds, 5.0, waiting_for=self.waited_for.append)

        def run():
            try:
                meet(self.group, cluster, hello, patience)
            except JobError as error:
                self.error = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def join(self):
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self


@pytest.fixture
def addresses():
    return tuple(Address("127.0.0.1", port) for port in free_port_pairs(3))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_workers_meet_in_whatever_order_they_come(addresses, order):
    workers = {}
    for number in order:
        workers[number] = Worker(number, addresses)
        time.sleep(0.05)
    for worker in workers.values():
        assert worker.join().error is None
    workers[0].group.tell(Message("steps", {"first": 7}))
    for number in (1, 2):
        assert workers[number].group.receive("steps").facts == {"first": 7}
    for worker in workers.values():
        worker.group.leave(ExitCode.FINISHED, "")


def test_the_chief_names_who_is_missing_and_gives_up(addresses, caplog):
    caplog.set_level(logging.INFO, logger=rendezvous.__name__)
    follower = Worker(1, addresses, arrival_seconds=1.6)
    chief = Worker(0, addresses, arrival_seconds=0.8).join()
    assert isinstance(chief.error, PeerLostError)
    assert "worker 2 (follower, 127.0.0.1) did not come within 1 s" in str(chief.error)
    assert "worker 2 (follower, 127.0.0.1)" in chief.waited_for
    assert any(record.missing for record in caplog.records)
    assert isinstance(follower.join().error, PeerLostError)


def test_a_follower_gives_up_when_no_chief_comes(addresses):
    follower = Worker(1, addresses, arrival_seconds=0.3).join()
    assert "worker 0 (chief, 127.0.0.1) did not come" in str(follower.error)


def test_a_signal_ends_the_waiting(addresses):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meet(Group(), Cluster(0, addresses), SAME, Patience(10.0, 5.0, tick=stop))


def test_a_mixture_is_refused_on_all_workers_with_the_difference(addresses):
    other = {"training": {"epochs": 4}, "versions": {"keras": "3.14"}}
    workers = [Worker(0, addresses), Worker(1, addresses), Worker(2, addresses, hello=other)]
    for worker in workers:
        assert isinstance(worker.join().error, ConfigError)
        assert "worker 2: training.epochs: 3 and 4" in str(worker.error)
        assert "worker 2: versions.keras: '3.15' and '3.14'" in str(worker.error)


def test_strangers_are_sent_away(addresses, caplog):
    chief = Worker(0, addresses[:2])
    wait_for_port(addresses[0])
    with socket.create_connection(("127.0.0.1", addresses[0].port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stranger.settimeout(5)
        with suppress(ConnectionResetError):
            assert stranger.recv(10) == b""
    follower = Worker(1, addresses[:2])
    for worker in (chief, follower):
        assert worker.join().error is None
        worker.group.leave(ExitCode.FINISHED, "")
    assert "a stranger connected" in caplog.text


def test_a_follower_that_was_started_again_takes_the_place_of_the_one_before(addresses):
    chief = Worker(0, addresses)
    wait_for_port(addresses[0])
    gone = socket.create_connection(("127.0.0.1", addresses[0].port))
    gone.sendall(Message("hello", {"worker": 1, "same": SAME}).encode())
    time.sleep(0.2)
    gone.close()
    followers = [Worker(1, addresses), Worker(2, addresses)]
    for worker in (chief, *followers):
        assert worker.join().error is None
        worker.group.leave(ExitCode.FINISHED, "")


class Reset:
    """A connection whose other end is gone when the chief answers."""

    def __init__(self, error):
        self.error = error

    def sendall(self, data):
        raise self.error

    def close(self):
        pass


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), BrokenPipeError("broken")])
@pytest.mark.parametrize(
    ("said", "expected", "message"),
    [
        (SAME, PeerLostError, r"worker 1 \(follower, 127.0.0.1\) is lost"),
        ({}, ConfigError, "different settings or versions"),
    ],
)
def test_a_follower_that_dies_before_it_is_answered(
    addresses, monkeypatch, error, said, expected, message
):
    def accept(chief, listener):
        chief._arrived[1] = Reset(error), Message("hello", {"worker": 1, "same": said})

    monkeypatch.setattr(rendezvous._Chief, "_accept", accept)
    monkeypatch.setattr(rendezvous, "_has_ended", lambda connection: False)
    with pytest.raises(expected, match=message):
        meet(Group(), Cluster(0, addresses[:2]), SAME, Patience(10.0, 5.0))


def test_a_port_in_use_is_a_configuration_error(addresses):
    with socket.create_server(("", addresses[0].port)):
        chief = Worker(0, addresses).join()
    assert isinstance(chief.error, ConfigError)
    assert str(addresses[0].port) in str(chief.error)


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_port_that_another_process_listens_at_is_a_problem_until_it_is_free(host):
    (port,) = free_port_pairs(1)
    with socket.create_server((host, port)) as other:
        assert port_problem(port) == "Address already in use"
        with socket.create_connection(("127.0.0.1", port)) as client:
            other.accept()[0].close()  # it closes first, so that its end stays in TIME_WAIT
            assert client.recv(1) == b""
    assert port_problem(port) == ""


@pytest.mark.parametrize("taken", [0, 2])
def test_a_taken_port_of_tensorflow_is_refused_on_all_workers(addresses, taken):
    with socket.create_server(("127.0.0.1", addresses[taken].tensorflow_port)):
        workers = [Worker(number, addresses) for number in range(3)]
        for worker in workers:
            assert isinstance(worker.join().error, ConfigError)
            said = str(worker.error)
            assert Cluster(taken, addresses).name(taken) in said
            assert f"at {addresses[taken].tensorflow}: Address already in use" in said
            assert "WORKER_ADDRESSES" in said


def test_all_taken_ports_are_named(addresses):
    with ExitStack() as others:
        for address in addresses:
            taken = "127.0.0.1", address.tensorflow_port
            others.enter_context(socket.create_server(taken))
        workers = [Worker(number, addresses) for number in range(3)]
        for worker in workers:
            assert str(worker.join().error).count("TensorFlow cannot listen") == 3


def test_a_chief_that_finds_the_run_finished_dismisses_its_followers(addresses):
    followers = [Worker(1, addresses), Worker(2, addresses)]
    patience = Patience(10.0, 5.0)
    rendezvous.dismiss(
        Cluster(0, addresses), patience, code=ExitCode.FINISHED, message="finished before"
    )
    for follower in followers:
        assert follower.join().error is None
        assert follower.group.is_dismissed


def test_a_chief_that_cannot_begin_takes_its_followers_along(addresses):
    follower = Worker(1, addresses)
    rendezvous.dismiss(
        Cluster(0, addresses), Patience(0.5, 5.0), code=ExitCode.CONFIG, message="no bucket"
    )
    assert isinstance(follower.join().error, ConfigError)
    assert "no bucket" in str(follower.error)


def test_differences_are_named_with_dots():
    assert differences({"a": {"b": 1, "c": (1, 2)}}, {"a": {"b": 2, "c": [1, 2]}, "d": 0}) == [
        "a.b: 1 and 2",
        "d: 'nothing' and 0",
    ]


def wait_for_port(address):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address.host, address.port)).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("nobody listens")
