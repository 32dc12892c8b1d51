"""Renders and lints charts with Helm's engine, without a cluster.

Only this module knows `helm-python-sdk`, which is a development requirement::

    rendered = helm.render(Path("charts/siamese-job"), values, name="typos")
    rendered.objects[0]["kind"]  # "ServiceAccount"
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from helm_python import chart as engine
from helm_python.errors import HelmError

__all__ = ["HelmError", "Rendered", "lint", "render"]

Values = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What a chart becomes.

    Attributes:
        files: Manifest by template path.
        objects: The same, parsed, in order of the paths.
        notes: What a person reads after the installation.
    """

    files: dict[str, str]
    objects: list[dict[str, Any]]
    notes: str


def render(
    chart: Path, values: Values | str, *, name: str, namespace: str = "default"
) -> Rendered:
    """Renders a chart as `helm install` would.

    Args:
        chart: The chart's folder.
        values: A map, or the text of a values file, which Helm then parses itself.
        name: Name of the release.
        namespace: Its namespace.

    Raises:
        HelmError: The values or the chart are refused.
    """
    if isinstance(values, str):
        values = engine.values_from_yaml(values)
    with engine.Chart.load(chart) as loaded:
        rendered = loaded.render(values, name=name, namespace=namespace)
    files = {path: text.strip("\n") + "\n" for path, text in sorted(rendered.items())}
    manifests = {
        path: text for path, text in files.items() if path.endswith(".yaml") and text.strip()
    }
    objects = [yaml.safe_load(text) for text in manifests.values()]
    notes = "".join(text for path, text in files.items() if path.endswith("NOTES.txt"))
    return Rendered(manifests, objects, notes)


def lint(chart: Path, values: Values) -> list[str]:
    """Warnings and errors of `helm lint --strict`."""
    report = engine.lint(chart, values, strict=True)
    return [found["error"] for found in report["messages"] if found["severity"] >= 2]
