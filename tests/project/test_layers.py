"""The contracts of import-linter, which `make lint` checks, leave nothing out."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
FAST = (
    *("errors", "types", "config", "preprocessing", "data", "inspection"),
    *("storage", "telemetry", "checkpoints"),
)


@pytest.mark.parametrize("container", ["job", "job.data"])
def test_the_layers_contract_leaves_no_module_out(container):
    (layers,) = [one for one in CONTRACTS if one.get("containers") == [container]]
    assert layers["exhaustive"]
    assert "ignore_imports" not in layers


def test_the_fast_part_is_forbidden_tensorflow_and_keras():
    (forbidden,) = [contract for contract in CONTRACTS if contract["type"] == "forbidden"]
    assert {f"job.{part}" for part in FAST} <= set(forbidden["source_modules"])
    assert set(forbidden["forbidden_modules"]) >= {"tensorflow", "keras"}
    assert "ignore_imports" not in forbidden
