import gzip
import http.client
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Gauge

from job.run.supervisor.beat import Beat
from job.run.supervisor.endpoint import Endpoint
from job.telemetry.health import Answer, Health
from job.telemetry.server import MetricsServer, routes

TRAINING = Beat(
    1,
    activity="training",
    startup=Answer(True, "started"),
    ready=Answer(True, "ready"),
)


@pytest.fixture
def endpoint():
    """An endpoint, the port it answers on, and the server of a training process."""
    endpoint = Endpoint()
    registry = CollectorRegistry()
    Gauge("loss", "Of a process.", registry=registry).set(0.5)
    own = MetricsServer(endpoint.app, host="127.0.0.1", port=0)
    process = MetricsServer(routes(registry, Health()), host="127.0.0.1", port=0)
    endpoint.port, endpoint.process = own.start(), process
    endpoint.beat = replace(TRAINING, port=process.start())
    yield endpoint
    own.stop()
    process.stop()


def ask(endpoint, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def statuses(endpoint):
    return {path: ask(endpoint, f"/{path}")[0] for path in ("livez", "readyz", "startupz")}


def test_before_the_first_beat_there_is_an_empty_page(endpoint):
    assert statuses(endpoint) == {"livez": 200, "readyz": 503, "startupz": 503}
    status, page, headers = ask(endpoint, "/metrics")
    assert status == 200
    assert all(line.startswith(b"#") for line in page.splitlines())
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_probes_say_what_the_last_beat_said(endpoint):
    endpoint.heard(replace(endpoint.beat, startup=Answer(False, "not started yet: data")))
    assert ask(endpoint, "/startupz")[:2] == (503, b"not started yet: data\n")
    endpoint.heard(endpoint.beat)
    assert statuses(endpoint) == {"livez": 200, "readyz": 200, "startupz": 200}


def test_a_process_that_is_started_again_was_started_and_is_not_ready(endpoint):
    endpoint.heard(endpoint.beat)
    endpoint.process_ended()
    assert statuses(endpoint) == {"livez": 200, "readyz": 503, "startupz": 200}
    endpoint.heard(Beat(1))
    assert statuses(endpoint) == {"livez": 200, "readyz": 503, "startupz": 200}


def test_only_a_supervisor_that_gave_up_is_not_alive(endpoint):
    endpoint.heard(endpoint.beat)
    endpoint.give_up("ended with exit code 77")
    assert ask(endpoint, "/livez")[:2] == (503, b"ended with exit code 77\n")


def test_the_page_is_asked_for_as_the_scraper_asked(endpoint):
    endpoint.heard(endpoint.beat)
    assert b"\nloss 0.5\n" in ask(endpoint, "/metrics")[1]
    _, page, headers = ask(endpoint, "/metrics", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert b"\nloss 0.5\n" in gzip.decompress(page)
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert ask(endpoint, "/metrics", **accept)[1].endswith(b"# EOF\n")
    assert b"loss" not in ask(endpoint, "/metrics?name[]=other")[1]


def test_the_last_page_stays_when_the_process_is_gone(endpoint, monkeypatch):
    monkeypatch.setattr("job.run.supervisor.endpoint.REFRESH_SECONDS", 0.01)
    endpoint.heard(endpoint.beat)
    endpoint.start_refreshing()
    while b"loss" not in endpoint._last.body:
        ask(endpoint, "/livez")
    endpoint.process.stop()  # killed: the port is closed
    assert b"\nloss 0.5\n" in ask(endpoint, "/metrics")[1]
    endpoint.process_ended()
    assert b"\nloss 0.5\n" in ask(endpoint, "/metrics", **{"Accept-Encoding": "gzip"})[1]
    endpoint.give_up("test")
