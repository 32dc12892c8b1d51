"""The Grafana dashboard, read without Grafana: its form, its names, and what its queries mean.

That every query answers for a real run is `tests/e2e/test_dashboard.py`'s to show.
"""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from job.telemetry.metric_definitions import PHASES, RUN_LABELS
from tests.telemetry.exported import FAMILIES

FILE = Path(__file__).parents[2] / "charts/siamese-observability/dashboards/siamese-run.json"
DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], query) for panel in PANELS for query in panel["targets"]]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
each_query = pytest.mark.parametrize(
    "query", [query for _, query in QUERIES], ids=[f"{t} {q['refId']}" for t, q in QUERIES]
)


def as_grafana_sends(expr: str, *, run: str = "tiny", namespace: str | None = None) -> str:
    """A query with the variables filled in; no namespace means All of them."""
    filled = (
        expr.replace("$__rate_interval", "5s")
        .replace("$__range", "1h")
        .replace("$namespace", namespace or VARIABLES["namespace"]["allValue"])
        .replace("$run", run)
    )
    assert "$" not in filled
    return filled


def metrics_in(text: str) -> set[str]:
    """The families that a query asks or a description names."""
    timers = {f.name for f in FAMILIES.values() if f.kind in {"histogram", "summary"}}
    found = set()
    for name in re.findall(r"\bsiamese_\w+", text):
        family = re.sub("_(bucket|sum|count)$", "", name)
        found.add(family if family in timers else name)
    return found


def test_the_file_is_written_the_way_grafana_exports_it():
    text = json.dumps(DASHBOARD, indent=2, sort_keys=True) + "\n"
    assert FILE.read_text(encoding="ascii") == text


def test_a_dashboard_that_is_imported_twice_is_the_same_one():
    assert (DASHBOARD["uid"], DASHBOARD["title"]) == ("siamese-run", "Siamese / Run")
    assert DASHBOARD["id"] is None
    assert DASHBOARD["schemaVersion"] == 39
    assert (DASHBOARD["refresh"], DASHBOARD["timezone"]) == ("30s", "utc")
    assert "__inputs" not in DASHBOARD  # provisioning does not ask for them


def test_the_variables_are_the_datasource_the_namespace_and_the_run():
    assert list(VARIABLES) == ["datasource", "namespace", "run"]
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["namespace"]["allValue"] == ".*"  # matches where there is no namespace
    for name in ("namespace", "run"):
        variable = VARIABLES[name]
        assert variable["datasource"] == DATASOURCE
        assert variable["refresh"] == 2, "finished runs are found by their time range"
        assert variable["query"]["query"] == variable["definition"]
        assert metrics_in(variable["definition"]) == {"siamese_run_phase"}


def test_ids_are_unique_and_boxes_do_not_overlap():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for one, two in combinations(DASHBOARD["panels"], 2):
        a, b = one["gridPos"], two["gridPos"]
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, (one["title"], two["title"])
    assert all(box["gridPos"]["x"] + box["gridPos"]["w"] <= 24 for box in DASHBOARD["panels"])


@each_panel
def test_a_panel_says_what_it_shows_in_which_unit_and_from_where(panel):
    assert panel["type"] in {"stat", "table", "timeseries"}
    assert panel["title"]
    assert panel["datasource"] == DATASOURCE
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"]
    text, _, names = panel["description"].partition("\n\nMetrics: ")
    assert text.endswith(".")
    asked = {name for query in panel["targets"] for name in metrics_in(query["expr"])}
    assert names.split(", ") == sorted(asked)


@each_query
def test_a_query_asks_for_families_that_a_run_exports(query):
    assert query["datasource"] == DATASOURCE
    asked = metrics_in(query["expr"])
    assert asked
    assert asked <= FAMILIES.keys()
    selectors = re.findall(r"siamese_\w+(\{[^}]*\})?", query["expr"])
    for selector in selectors:
        assert selector.startswith('{namespace=~"$namespace",run="$run"')


@each_query
def test_a_query_chooses_among_the_values_that_a_label_can_have(query):
    for name, label, values in re.findall(
        r'(siamese_\w+)\{[^}]*,(\w+)=~?"([^$"]+)"', query["expr"]
    ):
        assert set(values.split("|")) <= set(FAMILIES[name].labels[label])


@each_query
def test_a_query_adds_up_the_processes_of_a_run(query):
    groups = re.findall(r"\bby \(([^)]*)\)", query["expr"])
    assert groups
    for group in groups:
        assert group.split(", ")[:2] == ["namespace", "run"]
    assert not re.search(r"\b(instance|pod|job)\b", query["expr"])


@each_panel
def test_what_shows_one_moment_finds_finished_runs_and_what_shows_a_course_does_not_need_to(
    panel,
):
    for query in panel["targets"]:
        moment = panel["type"] in {"stat", "table"}
        assert (query["instant"], query["range"]) == (moment, not moment)
        selectors = re.findall(r"siamese_\w+\{[^}]*\}(\S*)", query["expr"])
        allowed = r"\[\$__range\]\)" if moment else r"(\[\$__rate_interval\]\)|\))"
        assert all(re.match(allowed, after) for after in selectors), query["expr"]
        assert query["expr"].count("last_over_time(") == (len(selectors) if moment else 0)


def test_every_phase_has_a_text_and_a_colour():
    (mappings,) = [
        mapping["options"]
        for panel in PANELS
        if panel["title"] == "Phase"
        for mapping in panel["fieldConfig"]["defaults"]["mappings"]
    ]
    assert sorted(mappings, key=lambda phase: mappings[phase]["index"]) == list(PHASES)
    (colours,) = [
        [override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]]
        for panel in PANELS
        if panel["title"] == "Phases"
    ]
    assert colours == list(PHASES)


def test_the_configuration_shows_every_label_of_the_run():
    (query,) = [query for title, query in QUERIES if title == "Configuration"]
    wanted = ["namespace", "run", *RUN_LABELS]
    assert f"by ({', '.join(wanted)})" in query["expr"]


def run_promtool(promtool: str, *arguments: str) -> None:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_is_valid(promtool, tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": as_grafana_sends(query["expr"])}
        for number, (_, query) in enumerate(QUERIES)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    run_promtool(promtool, "check", "rules", str(path))


# A run that was drained in one pod and went on in another until it succeeded: (series, values
# in the first pod, values in the second), one value a minute; `stale` is where a pod went away.
TWO_PODS = (
    ('siamese_run_phase{phase="draining"', "0 0 1 stale", "_ _ _ 0 0 0 stale"),
    ('siamese_run_phase{phase="training"', "1 1 0 stale", "_ _ _ 1 1 0 stale"),
    ('siamese_run_phase{phase="succeeded"', "0 0 0 stale", "_ _ _ 0 0 1 stale"),
    ("siamese_attempt_start_timestamp_seconds{", "5 5 5 stale", "_ _ _ 170 170 170 stale"),
    ("siamese_run_attempts{", "1 1 1 stale", "_ _ _ 2 2 2 stale"),
    ("siamese_monitor_best_value{", "0.9 0.8 0.7 stale", "_ _ _ _ _ 0.4 stale"),
    (
        'siamese_quality_ratio{split="validation",metric="eer"',
        "0.3 0.2 0.1 stale",
        "_ _ _ _ 0.08 0.07 stale",
    ),
    (
        "siamese_checkpoint_last_success_timestamp_seconds{",
        "0 60 120 stale",
        "_ _ _ 0 0 0 stale",
    ),
)


@pytest.mark.parametrize(
    ("title", "minute", "labels", "value"),
    [
        ("Phase", 2, '{phase="draining",run="tiny"}', 1),
        ("Phase", 3, '{phase="training",run="tiny"}', 1),
        ("Phase", 20, '{phase="succeeded",run="tiny"}', 1),
        ("Attempts", 20, '{run="tiny"}', 2),
        # The new process has measured nothing yet; then it is better, hence lower.
        ("Best value", 4, '{run="tiny"}', 0.7),
        ("Best value", 20, '{run="tiny"}', 0.4),
        ("Last quality", 20, '{metric="eer",run="tiny",split="validation"}', 0.07),
        ("Checkpoint age", 20, '{run="tiny"}', 20 * 60 - 120),
    ],
)
def test_a_tile_shows_the_newest_process_of_a_run_that_moved(
    promtool, tmp_path, title, minute, labels, value
):
    series = []
    for name, *pods in TWO_PODS:
        for pod, values in zip("ab", pods, strict=True):
            comma = "" if name.endswith("{") else ","
            full = (
                f'{name}{comma}run="tiny",instance="10.0.0.{ord(pod)}:9400",pod="tiny-{pod}"}}'
            )
            series.append({"series": full, "values": values})
    (query,) = [query for panel, query in QUERIES if panel == title]
    case = {
        "expr": as_grafana_sends(query["expr"]),
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": labels, "value": value}],
    }
    path = tmp_path / "test.yml"
    path.write_text(
        json.dumps(
            {"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [case]}]}
        )
    )
    run_promtool(promtool, "test", "rules", str(path))
