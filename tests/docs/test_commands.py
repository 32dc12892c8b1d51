"""Every command that a page shows is run here, or listed with the reason why not."""

import csv
import gzip
import io
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from job.cli import build_parser, main
from job.errors import ExitCode
from tests.docs.shown import PAGES, ROOT, shown
from tests.forked import Forked
from tests.prepared import require_prepared

# What a command begins with or contains -> why it is not run here.
LEFT_OUT = {
    r"^(kubectl|helm|docker) ": "needs a cluster or Docker; tests/chart, tests/e2e/kubernetes",
    r"^make ": "installs, fetches and tests; CI runs `make test`",
    r"^pip install ": "fetches a package; the locks are in requirements/",
    r"^python (-m )?examples[./]data": "needs that package; tests/data/test_example_data.py",
    r"^python -m tools\.chart": "tests/chart/test_generated.py",
    r"gs://": "needs a bucket; tests/e2e/test_bucket.py, tests/commands/test_data_pack.py",
    r"^python -m benchmarks": "takes hours; its tables are in the page",
    r"^curl ": "needs a server; tests/export/test_loaded.py",
    r"^siamese-job init my\.yaml$": "my.yaml exists by then; tests/commands/test_init.py",
    r"^siamese-job init .* --try ": "minutes; tests/init/test_attempt.py",
    r"^siamese-job match runs/people ": "stands for other data; docs/records.md runs it",
    r"^siamese-job launch ": "several processes; tests/e2e/test_workers.py",
    r"^siamese-job verify-resume ": "minutes; tests/run/verify_resume",
    r"--from \d+$": "a step of the whole data; tests/commands/test_train_from.py",
    r"examples/book-lstm\.yaml": "data of `make data`; tests/commands/test_examples.py",
}
# What a page takes for granted.
BEFORE = {"docs/score.md": ["siamese-job train examples/text.yaml"]}

ROWS = 300
NUM_IMAGES = 400
EXAMPLES = ("text", "images", "records")
EVERY = [(page, command) for page in PAGES for command in shown(page)]


def reason(command: str) -> str | None:
    return next((why for pattern, why in LEFT_OUT.items() if re.search(pattern, command)), None)


# What these show is trained by tests/export and tests/commands/test_train_from.py, too.
PROVED = ("docs/serving.md", "docs/thresholds.md")
RUN = [
    pytest.param(page, marks=[pytest.mark.prove] * (page in PROVED))
    for page in PAGES
    if any(reason(command) is None for command in shown(page))
]


@pytest.mark.parametrize(("page", "command"), EVERY)
def test_a_command_is_run_or_its_reason_is_known(page, command):
    assert command.startswith("siamese-job ") or reason(command)


@pytest.mark.parametrize("pattern", LEFT_OUT)
def test_a_reason_is_that_of_a_command(pattern):
    assert any(re.search(pattern, command) for _, command in EVERY)


@pytest.mark.parametrize(
    ("page", "command"), [one for one in EVERY if one[1].startswith("siamese-job ")]
)
def test_the_parser_takes_a_command_as_it_is_shown(page, command):
    build_parser().parse_args(shlex.split(command.partition(" > ")[0])[1:])


def cut(source: Path, target: Path) -> None:
    """The first rows of a table."""
    with gzip.open(source, "rt", encoding="utf-8", newline="") as file:
        rows = [row for _, row in zip(range(ROWS), csv.reader(file), strict=False)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text.getvalue().encode()))


def shrink(config: dict[str, Any]) -> None:
    """An epoch of small layers."""
    config["training"]["epochs"] = 1
    encoder = config["model"]["encoder"]
    encoder |= {"units": 4} if encoder["kind"] == "lstm" else {"filters": [4]}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder like a checkout after `make data`, with small examples of few rows."""
    source = ROOT / "examples"
    for table in source.glob("data/*/*.csv.gz"):
        cut(table, tmp_path / "examples" / table.relative_to(source))
    typos = tmp_path / "examples/data/typos/train.csv.gz"
    (tmp_path / "pairs.csv").write_bytes(gzip.decompress(typos.read_bytes()))
    monkeypatch.setenv("SIAMESE_TRAINING__EPOCHS", "1")  # of what `init` writes
    with np.load(source / "data/emoji/emoji.npz") as arrays:
        images = {name: arrays[name][:NUM_IMAGES] for name in arrays.files}
    (tmp_path / "examples/data/emoji").mkdir()
    np.savez(tmp_path / "examples/data/emoji/emoji.npz", **images)
    for name in EXAMPLES:
        config = yaml.safe_load((source / f"{name}.yaml").read_text())
        shrink(config)
        (tmp_path / f"examples/{name}.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, *, folder: Path) -> None:
    """Runs a command in a process of its own, its output to a file if it says so."""
    names = {"CONFIG": "examples/text.yaml", "RUN": "runs/typos", "ROOT": "runs"}
    line, _, target = command.partition(" > ")
    line = line.replace("/data/sets", str(folder / "sets"))
    words = [names.get(word, word) for word in shlex.split(line)[1:]]
    process = Forked(main, words)
    output, error = process.communicate()
    assert process.returncode == ExitCode.FINISHED, f"{command}: {error}"
    if target:
        (folder / target).write_text(output)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_in_their_order(page, checkout):
    for command in [*BEFORE.get(page, []), *shown(page)]:
        if reason(command):
            continue
        if "records" in command:
            require_prepared(ROOT / "examples/data/records/train.csv.gz")
        run(command, folder=checkout)
