"""Helm, whichever is at hand: its engine as a Python package, else the program on the PATH.

The package (`helm-python-sdk`) is a development requirement, so everybody renders with the
same version; it is faster too, and leaves out the program's `Error: INSTALLATION FAILED:`. This
class is all that knows which of the two it is::

    rendered = Helm.at_hand().render(Path("charts/siamese-job"), values, name="typos")
    rendered.objects[0]["kind"]  # "ServiceAccount"
"""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

Values = dict[str, Any]


class HelmError(Exception):
    """Helm refused: the message is Helm's."""


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


class Helm:
    """Renders and lints charts.

    Args:
        program: The `helm` to run; None for the Python package.
    """

    def __init__(self, program: str | None = None) -> None:
        self.program = program

    @classmethod
    def at_hand(cls) -> "Helm":
        """The package where it is installed, else the program.

        Raises:
            HelmError: There is neither.
        """
        if find_spec("helm_python"):
            return cls()
        if program := shutil.which("helm"):
            return cls(program)
        raise HelmError("neither helm-python-sdk is installed nor is there a helm on the PATH")

    def render(
        self, chart: Path, values: Values | str, *, name: str, namespace: str = "default"
    ) -> Rendered:
        """Renders a chart as `helm install` would, without a cluster.

        Args:
            chart: The chart's folder.
            values: A map, or the text of a values file, which Helm then parses itself.
            name: Name of the release.
            namespace: Its namespace.

        Raises:
            HelmError: The values or the chart are refused.
        """
        if self.program is None:
            files = _with_package(chart, values, name=name, namespace=namespace)
        else:
            files = self._with_program(chart, values, name=name, namespace=namespace)
        notes = "".join(text for path, text in files.items() if path.endswith("NOTES.txt"))
        manifests = {
            path: text
            for path, text in sorted(files.items())
            if path.endswith(".yaml") and text.strip()
        }
        objects = [yaml.safe_load(text) for text in manifests.values()]
        return Rendered(manifests, objects, notes)

    def lint(self, chart: Path, values: Values) -> list[str]:
        """Warnings and errors of `helm lint --strict`."""
        if self.program is None:
            from helm_python import chart as package

            report = package.lint(chart, values, strict=True)
            return [m["error"] for m in report["messages"] if m["severity"] >= 2]
        done = self._run("lint", "--strict", str(chart), values=values)
        lines = (done.stdout + done.stderr).splitlines()
        return [line for line in lines if re.match(r"\[(WARNING|ERROR)\]|Error:", line)]

    def _with_program(
        self, chart: Path, values: Values | str, *, name: str, namespace: str
    ) -> dict[str, str]:
        # Not `template`, which leaves the notes out; --dry-run=client asks no cluster.
        done = self._run(
            "install", name, str(chart), "--namespace", namespace, "--dry-run=client",
            "--output", "json", values=values,
        )  # fmt: skip
        if done.returncode:
            raise HelmError(done.stderr.strip())
        release = json.loads(done.stdout)
        files = {"NOTES.txt": release["info"].get("notes", "")}
        for document in re.split(r"(?m)^---\n", release["manifest"])[1:]:
            source, text = document.split("\n", 1)
            files[source.removeprefix("# Source: ")] = text.rstrip("\n") + "\n"
        return files

    def _run(self, *arguments: str, values: Values | str) -> subprocess.CompletedProcess[str]:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(values if isinstance(values, str) else _as_yaml(values))
            file.flush()
            return subprocess.run(
                [str(self.program), *arguments, "--values", file.name],
                capture_output=True, text=True, check=False,
            )  # fmt: skip


def _as_yaml(values: Values) -> str:
    """JSON that is YAML: no pairs of half characters, none that YAML refuses or bends."""
    text = json.dumps(values, ensure_ascii=False)
    bent = "[\x7f-\x9f\u2028\u2029\ufeff]"
    return re.sub(bent, lambda found: f"\\u{ord(found[0]):04x}", text)


def _with_package(
    chart: Path, values: Values | str, *, name: str, namespace: str
) -> dict[str, str]:
    from helm_python import chart as package
    from helm_python.errors import HelmError as PackageError

    try:
        if isinstance(values, str):
            values = package.values_from_yaml(values)
        with package.Chart.load(chart) as loaded:
            files = loaded.render(values, name=name, namespace=namespace)
    except PackageError as error:
        raise HelmError(str(error)) from None
    return {path: text.strip("\n") + "\n" for path, text in files.items() if text.strip()}
