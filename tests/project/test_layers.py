"""The layers of the package, proved by import-linter from the contracts in pyproject.toml."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


@pytest.mark.slow
def test_imports_point_downward_and_the_fast_part_knows_no_tensorflow():
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize("container", ["job", "job.data"])
def test_the_layers_contract_leaves_no_module_out(container):
    (layers,) = [one for one in CONTRACTS if one.get("containers") == [container]]
    assert layers["exhaustive"]
    assert "ignore_imports" not in layers


FAST = (
    *("errors", "types", "config", "preprocessing", "data", "inspection"),
    *("storage", "telemetry", "checkpoints"),
)


@pytest.mark.parametrize("part", FAST)
def test_the_fast_part_is_forbidden_tensorflow_and_keras(part):
    (forbidden,) = [contract for contract in CONTRACTS if contract["type"] == "forbidden"]
    assert f"job.{part}" in forbidden["source_modules"]
    assert set(forbidden["forbidden_modules"]) >= {"tensorflow", "keras"}
    assert "ignore_imports" not in forbidden
