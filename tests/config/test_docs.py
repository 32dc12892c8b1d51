"""What docs/configure.md shows works, and so do the configurations of other pages."""

import re
from pathlib import Path

import pytest

from job.config.loader.load_config import load_config
from job.config.loader.overrides import from_environment, from_sets
from job.config.scalars import resolve
from tests.config.conftest import Complaints

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "configure.md").read_text(encoding="utf-8")
SETS = re.findall(r"--set (?:'([^']+)'|([\w.]+=[\w.{}]+))", TEXT)
MEANINGS = {
    "`true`, `false`": (True, False),
    "`1e-3`, `.5`, `10`": (0.001, 0.5, 10),
    "`010`, `0o17`, `0x1F`": (10, 15, 31),
    "`1_000`, `1:30`, `2026-01-02`": ("1_000", "1:30", "2026-01-02"),
}


def test_the_minimal_file_is_enough(conflicts: Complaints) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert conflicts(block, sets=["nothing"]) == [
        "--set nothing: needs key=value, as in training.epochs=3 (got 'nothing')."
    ]


@pytest.mark.parametrize("argument", [quoted or plain for quoted, plain in SETS])
def test_every_set_is_one_that_works(argument: str) -> None:
    if not argument.startswith("key="):
        assert from_sets([argument]).problems == ()


def test_the_variable_is_one_that_works() -> None:
    [assignment] = from_environment(dict(re.findall(r"(SIAMESE_\w+)=(\w+)", TEXT))).assignments
    assert (assignment.path, assignment.value) == (("training", "epochs"), 3)


@pytest.mark.parametrize(("row", "values"), MEANINGS.items())
def test_the_table_of_scalars_is_true(row: str, values: tuple[object, ...]) -> None:
    assert f"| {row} |" in TEXT
    assert tuple(resolve(text) for text in re.findall("`([^`]+)`", row)) == values


# Pages whose every block of YAML is part of a configuration file.
PAGES = (
    "data",
    "pairs",
    "packing",
    "records",
    "models",
    "optimization",
    "callbacks",
    "thresholds",
)
BLOCKS = {
    f"{page}-{number}": block
    for page in PAGES
    for number, block in enumerate(
        re.findall(
            r"```yaml\n(.*?)```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL
        )
    )
}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_configuration_of_the_docs_is_valid(name: str, tmp_path: Path) -> None:
    block = BLOCKS[name]
    data = "" if re.search("^data:", block, re.MULTILINE) else "data: {train: a.csv}\n"
    (tmp_path / "c.yaml").write_text(f"run: {{name: a}}\n{data}{block}", encoding="utf-8")
    load_config(tmp_path / "c.yaml", env={}, sets=[])


def test_pages_have_configurations() -> None:
    assert {name.partition("-")[0] for name in BLOCKS} == set(PAGES)
