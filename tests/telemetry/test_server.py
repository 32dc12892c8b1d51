import errno
import gzip
import http.client
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from job.errors import ConfigError, ExitCode
from job.telemetry.health import Health
from job.telemetry.run_metrics import RunMetrics
from job.telemetry.server import MetricsServer, explain_bind_error, routes


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.telemetry.server.POLL_SECONDS", 0.01)
    monkeypatch.setattr("job.telemetry.server._Handler.timeout", 0.3)


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    RunMetrics(registry, run="quora")
    return registry


@pytest.fixture
def port(registry: CollectorRegistry, health: Health) -> Iterator[int]:
    server = MetricsServer(routes(registry, health), host="127.0.0.1", port=0)
    yield server.start()
    server.stop()


class Reply:
    def __init__(self, port: int, path: str, *, method: str = "GET", headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request(method, path, headers=headers or {}, body=body)
            response = connection.getresponse()
            self.status, self.headers = response.status, dict(response.getheaders())
            self.body = response.read()
        finally:
            connection.close()


def test_metrics_are_served_as_the_classic_text_format_by_default(port):
    reply = Reply(port, "/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'siamese_run_phase{phase="initializing",run="quora"} 1.0\n' in reply.body


def test_openmetrics_is_served_to_those_who_ask(port):
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    reply = Reply(port, "/metrics?a=b", headers=accept)
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    assert reply.body.endswith(b"# EOF\n")


def test_metrics_are_compressed_for_those_who_accept_it(port):
    plain = Reply(port, "/metrics")
    packed = Reply(port, "/metrics", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"siamese_run_phase" in gzip.decompress(packed.body)


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "/healthz", "/../metrics"])
def test_every_other_path_is_not_found(port, path):
    reply = Reply(port, path)
    assert (reply.status, reply.body) == (404, b"not found\n")


def test_a_probe_answers_head_without_a_body(port):
    reply = Reply(port, "/livez", method="HEAD")
    assert (reply.status, reply.body) == (200, b"")


def test_probes_follow_the_run(port, health):
    def answers() -> list[tuple[int, bytes]]:
        replies = [Reply(port, path) for path in ("/livez", "/startupz", "/readyz")]
        return [(reply.status, reply.body) for reply in replies]

    assert answers() == [(200, b"alive\n"), (503, b"starting\n"), (503, b"starting\n")]
    health.waiting_for("reading the data")
    assert answers() == [
        (200, b"alive\n"),
        (503, b"not started yet: reading the data\n"),
        (503, b"not ready yet: reading the data\n"),
    ]
    health.finish_startup()
    assert answers() == [(200, b"alive\n"), (200, b"started\n"), (200, b"ready\n")]
    health.waiting_for("too late to matter")
    health.stop_being_ready("draining")
    assert answers() == [(200, b"alive\n"), (200, b"started\n"), (503, b"draining\n")]


class BrokenCollector:
    def collect(self):
        raise RuntimeError("a secret detail")

    def describe(self):
        return []


def test_a_failing_collector_is_logged_and_not_shown(port, registry, caplog):
    registry.register(BrokenCollector())
    with caplog.at_level(logging.WARNING):
        reply = Reply(port, "/metrics")
    assert (reply.status, reply.body) == (500, b"internal error\n")
    assert [record.getMessage() for record in caplog.records] == ["metrics page failed"]
    assert Reply(port, "/livez").status == 200


def test_a_client_that_hangs_up_leaves_no_trace(port, capfd):
    for _ in range(3):
        socket.create_connection(("127.0.0.1", port)).close()
    assert Reply(port, "/livez").status == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost"])
def test_a_client_that_stops_sending_is_dropped_quietly(port, capfd, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""
    assert capfd.readouterr() == ("", "")


def test_a_client_that_stops_reading_is_dropped_quietly(port, registry, capfd):
    # More than the buffers of both ends hold.
    Gauge("big", "x" * 50_000_000, registry=registry)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert connection.recv(1) == b"H"
        deadline = time.monotonic() + 5
        while any("process_request" in thread.name for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "the server is still waiting"
            time.sleep(0.01)
    assert capfd.readouterr() == ("", "")


def test_binding_asks_no_name_server(registry, health, monkeypatch):
    monkeypatch.setattr("socket.getfqdn", lambda name: pytest.fail(f"asked for {name}"))
    server = MetricsServer(routes(registry, health), host="127.0.0.1", port=0)
    server.start()
    server.stop()


def test_scrapes_in_parallel_are_all_answered(port):
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(Reply(port, "/metrics").status))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8


def test_a_port_in_use_is_a_config_error_that_says_what_to_do(port, registry, health):
    second = MetricsServer(routes(registry, health), host="127.0.0.1", port=port)
    with pytest.raises(ConfigError) as caught:
        second.start()
    assert caught.value.exit_code == ExitCode.CONFIG
    assert str(caught.value) == (
        f"metrics.port: {port} on metrics.host '127.0.0.1' is in use by another process. "
        "Allowed is any free port, or 0, which takes one. Set metrics.port to 0 or to another "
        "number."
    )


@pytest.mark.parametrize(
    "host", ["203.0.113.7", "x" * 70, "a\0b"], ids=["not ours", "too long", "NUL"]
)
def test_an_address_that_is_not_ours_is_a_config_error(registry, health, host):
    server = MetricsServer(routes(registry, health), host=host, port=0)
    with pytest.raises(ConfigError, match=r"metrics\.host: .* is no address of this machine"):
        server.start()


@pytest.mark.parametrize(
    ("error", "beginning", "what_to_do"),
    [
        (
            OSError(errno.EADDRINUSE, "Address already in use"),
            "metrics.port: 80 on metrics.host '::1' is in use",
            "Set metrics.port to 0",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "metrics.port: 80 on metrics.host '::1' may not be used by this user: ports below",
            "Set metrics.port to 0",
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "metrics.host: '::1' is no address of this machine ([Errno -2] Name or service",
            "Set metrics.host to 127.0.0.1",
        ),
    ],
)
def test_a_failure_to_bind_names_the_setting(error, beginning, what_to_do):
    message = str(explain_bind_error(error, host="::1", port=80))
    assert message.startswith(beginning)
    assert what_to_do in message


def test_stopping_frees_the_port_and_may_be_repeated(registry, health):
    server = MetricsServer(routes(registry, health), host="127.0.0.1", port=0)
    port = server.start()
    server.stop()
    server.stop()
    again = MetricsServer(routes(registry, health), host="127.0.0.1", port=port)
    assert again.start() == port
    again.stop()


PROGRAM = """
import socket, sys
from prometheus_client import CollectorRegistry
from job.telemetry.health import Health
from job.telemetry.run_metrics import RunMetrics
from job.telemetry.server import MetricsServer, routes
from urllib.request import urlopen

registry = CollectorRegistry()
RunMetrics(registry, run="quora")
port = MetricsServer(routes(registry, Health()), host="127.0.0.1", port=0).start()
dawdler = socket.create_connection(("127.0.0.1", port))
with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
    assert b"siamese_run_phase" in page.read()
assert not {"tensorflow", "keras", "numpy", "rich"} & set(sys.modules)
"""


def test_it_serves_before_tensorflow_is_imported_and_never_holds_the_process_up():
    # Not stopped and with a client connected: the process must end all the same.
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
