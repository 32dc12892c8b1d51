"""Writes the files that follow from others, or says which are stale.

    .venv/bin/python -m tools.chart.generate           # what `make manifests` runs
    .venv/bin/python -m tools.chart.generate --check   # exit 1, naming what is stale

They are `job/config/schema.json`, the chart's `values.schema.json`, `files/exit-codes.yaml` and
`files/mutable-keys.yaml`, the table in its README, and the plain manifests below k8s/.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from job import __version__
from job.config.keys import all_keys
from job.config.loader.yaml12 import read_document
from job.config.resume import is_mutable
from job.config.schema import COMMITTED, schema_text
from job.errors import EXIT_CODES
from tools.chart import helm
from tools.chart.values_comments import read_entries, table
from tools.chart.values_schema import values_schema

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/siamese-job"
EXAMPLE = "examples/text.yaml"
EXAMPLES_IN_IMAGE = "/examples"
TABLE = re.compile(r"(?s)(<!-- values: begin -->\n).*(<!-- values: end -->)")


@dataclass(frozen=True)
class Plain:
    """A folder of plain manifests below k8s/.

    Attributes:
        folder: Its name.
        release: The release that it is rendered as. Releases differ, so that the objects of two
            folders may be in one namespace.
        num_workers: Number of pods that train the example.
    """

    folder: str
    release: str
    num_workers: int

    @property
    def path(self) -> Path:
        """The folder itself."""
        return ROOT / "k8s" / self.folder


PLAIN = (Plain("single", "typos", 1), Plain("multi-worker", "typos-multi", 2))

# In k8s/ nothing is managed by Helm.
HELM_LABELS = re.compile(r"(?m)^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by):.*\n")


def schema() -> str:
    """`values.schema.json`."""
    constraints = yaml.safe_load((ROOT / "tools/chart/values.schema.yaml").read_text())
    text = (CHART / "values.yaml").read_text()
    descriptions = {entry.key: entry.description for entry in read_entries(text)}
    config = json.loads(schema_text())
    made = values_schema(constraints, descriptions, config, defaults=yaml.safe_load(text))
    return json.dumps(made, indent=2) + "\n"


def exit_codes() -> str:
    """`files/exit-codes.yaml`: the codes that are not simply counted, by what happens."""
    lines = ["# Exit codes by pod failure action, from job/errors.py; any other is counted."]
    for action in ("FailJob", "Ignore"):
        codes = [int(row.code) for row in EXIT_CODES if row.pod_failure_action == action]
        lines.append(f"{action}: {codes}")
    return "\n".join(lines) + "\n"


def mutable_keys() -> str:
    """`files/mutable-keys.yaml`: a section all of whose keys may change stands for them."""
    keys = [key for key in all_keys() if is_mutable(key)]
    tops = [key for key in keys if not is_mutable(key.rpartition(".")[0])]
    lines = "".join(f"- {key}\n" for key in tops)
    return f"# Keys of the configuration that a resume may change, from job/config.\n{lines}"


def chart_metadata() -> str:
    """`Chart.yaml`, whose `appVersion` is the program's."""
    text = (CHART / "Chart.yaml").read_text()
    return re.sub(r"(?m)^appVersion: .*$", f"appVersion: {__version__}", text)


def chart_readme() -> str:
    """The chart's README, whose table says what `values.yaml` says."""
    text = (CHART / "README.md").read_text()
    rows = table(read_entries((CHART / "values.yaml").read_text()))
    return TABLE.sub(lambda found: f"{found[1]}{rows}\n{found[2]}", text)


def manifests(plain: Plain) -> dict[Path, str]:
    """The files of a folder of k8s/: the example, with the data that the image holds."""
    config = read_document((ROOT / EXAMPLE).read_bytes()).values
    config["data"]["root"] = EXAMPLES_IN_IMAGE
    values = {"config": config, "workers": {"count": plain.num_workers}}
    rendered = helm.render(CHART, values, name=plain.release)
    header = (
        "# Rendered from charts/siamese-job by `make manifests`; do not edit.\n"
        f"# Values: {EXAMPLE}, with its data from the image, and workers.count: "
        f"{plain.num_workers}.\n"
    )
    files = {
        Path(path).name: header + HELM_LABELS.sub("", text)
        for path, text in rendered.files.items()
    }
    listed = "".join(f"- {name}\n" for name in sorted(files))
    files["kustomization.yaml"] = (
        f"{header}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources:\n{listed}"
    )
    return {plain.path / name: text for name, text in files.items()}


def chart_files() -> dict[Path, str]:
    """The schema of a configuration file, and what is generated inside the chart."""
    return {
        COMMITTED: schema_text(),
        CHART / "values.schema.json": schema(),
        CHART / "files/exit-codes.yaml": exit_codes(),
        CHART / "files/mutable-keys.yaml": mutable_keys(),
        CHART / "Chart.yaml": chart_metadata(),
        CHART / "README.md": chart_readme(),
    }


def stale(files: dict[Path, str]) -> list[Path]:
    """Which of the files do not exist with this content."""
    return [
        path for path, text in files.items() if not path.exists() or path.read_text() != text
    ]


def leftovers(folder: Path, names: set[str]) -> list[Path]:
    """Files of a generated folder that nothing generates."""
    return sorted(path for path in folder.glob("*") if path.name not in names)


def main() -> int:
    """Writes what is stale, or with `--check` lists it and returns 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    # The chart's own files first: the manifests are rendered with them.
    found = _settle(chart_files(), write=not check)
    for plain in PLAIN:
        files = manifests(plain)
        found += _settle(files, write=not check)
        for path in leftovers(plain.path, {path.name for path in files}):
            found.append(path)
            if not check:
                path.unlink()
    for path in found:
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path.relative_to(ROOT)}\n")
    if check and found:
        sys.stdout.write("Run `make manifests`.\n")
    return int(check and bool(found))


def _settle(files: dict[Path, str], *, write: bool) -> list[Path]:
    """The stale ones of the files, written if asked to."""
    paths = stale(files)
    for path in paths if write else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    return paths


if __name__ == "__main__":
    raise SystemExit(main())
