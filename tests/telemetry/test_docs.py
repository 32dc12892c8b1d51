"""What docs/logs.md and docs/metrics.md promise, checked against the code."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from job.telemetry.metric_definitions import PREFIX
from tests.telemetry.exported import FAMILIES, OPEN_LABELS

ROOT = Path(__file__).parents[2]
SEVERITIES = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR"}


def logged_events(folder: Path) -> set[tuple[str, str]]:
    """Event and severity of every `log.x("...")` below a folder."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in SEVERITIES
            ):
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
                found.add((node.args[0].value, SEVERITIES[node.func.attr]))
    return found


def test_every_event_is_documented_with_its_severity():
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([^`]+)` \| ([A-Z]+) \|", page, re.M))
    events = logged_events(ROOT / "job")
    assert events
    assert events <= documented


def test_names_types_labels_and_help_of_the_families_are_those_of_the_table():
    # Dashboards and alerts are written against the table: a change belongs into the changelog.
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(siamese_\w+)` \| (\w+) \| (.*) \| (.*) \| (.*) \|$", page, re.M)
    wanted = [
        (name, family.kind, label_cell(family.labels), family.help)
        for name, family in FAMILIES.items()
    ]
    assert [(name, kind, labels, text) for name, kind, labels, _, text in rows] == wanted


def label_cell(labels: dict[str, list[str]]) -> str:
    return "; ".join(
        f"`{name}`" if name in OPEN_LABELS else f"`{name}`: {', '.join(values)}"
        for name, values in labels.items()
    )


def expressions() -> list[str]:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```promql\n(.*?)```", page, re.S)
    parts = [part for block in blocks for part in block.split("\n\n")]
    return ["\n".join(x for x in part.splitlines() if not x.startswith("#")) for part in parts]


@pytest.mark.parametrize("expression", expressions())
def test_every_query_of_the_docs_asks_for_a_family_that_exists(expression):
    asked = re.findall(rf"\b{PREFIX}\w+", expression)
    assert asked
    assert {re.sub(r"_bucket$", "", name) for name in asked} <= FAMILIES.keys()


def check_passes(promtool: str, *arguments: str) -> None:
    result = subprocess.run(
        [promtool, "check", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_query_of_the_docs_is_valid(promtool, tmp_path):
    rules = [
        {"record": f"q{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "docs", "rules": rules}]}))
    check_passes(promtool, "rules", str(path))


def test_every_scrape_config_of_the_docs_is_valid(promtool, tmp_path):
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.S)
    assert len(blocks) == 2
    for block in blocks:
        config = yaml.safe_load(block)
        for scrape in config["scrape_configs"]:
            # Debian builds Prometheus without the discovery of Kubernetes.
            scrape.pop("kubernetes_sd_configs", None)
        path = tmp_path / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        check_passes(promtool, "config", "--syntax-only", str(path))
