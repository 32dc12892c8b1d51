"""A real Prometheus scrapes a real run, and every query of the dashboard must answer."""

import json
import math
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from job.errors import ExitCode
from tests.e2e.test_processes import finish, start, wait_for
from tests.telemetry.test_dashboard import QUERIES, VARIABLES, as_grafana_sends

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

SECONDS = 60  # at most, for anything that is waited for
EPOCHS = 20
SUCCEEDED = 'siamese_run_phase{phase="succeeded"}'


class Prometheus:
    """Its HTTP API."""

    def __init__(self, address: str):
        self.address = address

    def ask(self, path, **parameters):
        url = f"http://{self.address}/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        return json.loads(text)["data"] if path.startswith("api/") else text

    def now(self, expr):
        """What a tile or a table gets: one value a series."""
        result = self.ask("api/v1/query", query=expr)["result"]
        return [(series["metric"], [series["value"]]) for series in result]

    def course(self, expr, *, begin):
        """What a time series panel gets: a value a second since `begin`."""
        span = {"start": begin, "end": time.time(), "step": 1}
        result = self.ask("api/v1/query_range", query=expr, **span)["result"]
        return [(series["metric"], series["values"]) for series in result]

    def label_values(self, definition, **variables):
        """What a variable of the dashboard offers."""
        call = definition.removeprefix("label_values(").removesuffix(")")
        match, label = as_grafana_sends(call, **variables).rsplit(", ", 1)
        found = self.ask("api/v1/series", **{"match[]": match})
        return {series[label] for series in found if label in series}


def eventually(what):
    """The first answer of `what` that is not empty."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass  # it does not listen yet
        time.sleep(0.1)
    raise AssertionError(f"{what} came to nothing in {SECONDS} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def prometheus_that_scrapes(target, folder):
    """Scrapes `target` once as on a laptop, and once as if it were in the namespace `ml`."""
    binary = shutil.which("prometheus")
    if binary is None and not os.environ.get("CI"):
        pytest.skip("prometheus is not installed (Debian package `prometheus`)")
    jobs = [
        {"job_name": "laptop", "static_configs": [{"targets": [target]}]},
        {
            "job_name": "cluster",
            "static_configs": [{"targets": [target], "labels": {"namespace": "ml"}}],
        },
    ]
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        server = Prometheus(address)
        eventually(lambda: server.ask("-/ready"))
        yield server
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)


def check_that_every_query_answers(server, *, begin):
    """With a number other than 0 and NaN, for the laptop and for the namespace."""
    missing = []
    for title, query in QUERIES:
        for chosen, wanted in ((None, {None, "ml"}), ("ml", {"ml"})):
            expr = as_grafana_sends(query["expr"], namespace=chosen)
            found = server.now(expr) if query["instant"] else server.course(expr, begin=begin)
            answered = {
                labels.get("namespace")
                for labels, values in found
                if any(math.isfinite(float(value)) and float(value) for _, value in values)
            }
            if answered != wanted:
                missing.append(f"{title}: {expr} has numbers for {answered}, not {wanted}")
    assert not missing, "\n".join(missing)


def shown(server, title):
    """The numbers of a tile, and the values of the labels that tell its series apart."""
    (query,) = [query for panel, query in QUERIES if panel == title]
    expr = as_grafana_sends(query["expr"], namespace="ml")
    return [(labels.get("phase"), float(value)) for labels, [(_, value)] in server.now(expr)]


def test_every_query_of_the_dashboard_answers_for_a_run_that_lives_and_one_that_ended(
    project, tmp_path
):
    port = free_port()
    with prometheus_that_scrapes(f"127.0.0.1:{port}", tmp_path / "prometheus") as server:
        # It takes its targets up after some seconds only: the run waits for that.
        eventually(lambda: server.now("up == 0")[1:])
        begin = time.time()
        process = start(
            project,
            f"training.epochs={EPOCHS}",
            f"metrics.port={port}",
            "metrics.linger_seconds=3600",
        )
        try:
            wait_for(process, "metrics stay up")
            # Both targets have said so for two seconds: two points of a course.
            eventually(lambda: server.now(f"{SUCCEEDED} offset 2s == 1")[1:])
            namespace, run = (VARIABLES[name]["definition"] for name in ("namespace", "run"))
            assert server.label_values(namespace) == {"ml"}
            for chosen in (None, "ml"):
                assert server.label_values(run, namespace=chosen) == {"tiny"}
            check_that_every_query_answers(server, begin=begin)
            assert shown(server, "Phase") == [("succeeded", 1.0)]
            assert shown(server, "Progress") == [(None, 1.0)]
            assert shown(server, "Epoch") == [(None, EPOCHS)]

            process.terminate()
            code, _, err = finish(process)
            assert code == ExitCode.FINISHED, err
            eventually(lambda: not server.now("siamese_run_phase"))
            check_that_every_query_answers(server, begin=begin)
            assert shown(server, "Phase") == [("succeeded", 1.0)]
        finally:
            if process.poll() is None:
                process.kill()
                finish(process)
