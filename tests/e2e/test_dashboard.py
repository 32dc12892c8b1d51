"""A real Prometheus scrapes a real run, and every query of the dashboard must answer."""

import math
import time

import pytest

from job.errors import ExitCode
from tests.e2e.prometheus import free_port, start_prometheus
from tests.e2e.test_processes import finish, start, wait_for
from tests.telemetry.test_dashboard import QUERIES, VARIABLES, as_grafana_sends

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

SECONDS = 60  # at most, for anything that is waited for
EPOCHS = 20
SUCCEEDED = 'siamese_run_phase{phase="succeeded"}'


class Dashboard:
    """What Grafana would ask a Prometheus for."""

    def __init__(self, server):
        self.server = server

    def now(self, expr):
        """What a tile or a table gets: one value a series."""
        return [(one["metric"], [one["value"]]) for one in self.server.vector(expr)]

    def course(self, expr, *, begin):
        """What a time series panel gets: a value a second since `begin`."""
        span = {"start": begin, "end": time.time(), "step": 1}
        result = self.server.api("query_range", query=expr, **span)["result"]
        return [(series["metric"], series["values"]) for series in result]

    def label_values(self, definition, **variables):
        """What a variable of the dashboard offers."""
        call = definition.removeprefix("label_values(").removesuffix(")")
        match, label = as_grafana_sends(call, **variables).rsplit(", ", 1)
        found = self.server.api("series", **{"match[]": match})
        return {series[label] for series in found if label in series}


def eventually(what):
    """The first answer of `what` that is not empty."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} came to nothing in {SECONDS} s")


def scraped_twice(target):
    """Scrapes `target` once as on a laptop, and once as if it were in the namespace `ml`."""
    static = {"targets": [target]}
    return [
        {"job_name": "laptop", "static_configs": [static]},
        {"job_name": "cluster", "static_configs": [{**static, "labels": {"namespace": "ml"}}]},
    ]


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
    scrape = scraped_twice(f"127.0.0.1:{port}")
    with start_prometheus(tmp_path / "prometheus", scrape=scrape) as prometheus:
        server = Dashboard(prometheus)
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
