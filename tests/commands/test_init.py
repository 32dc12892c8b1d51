"""`siamese-job init`, through its parser: a starter file, and a configuration from data."""

import csv
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from job.config.loader.load_config import load_config
from job.config.schema import COMMITTED
from job.errors import (
    ConfigError,
    DataError,
    DiskFullError,
    ExitCode,
    PermissionDeniedError,
    TerminatedError,
)
from job.init.attempt import Result
from job.init.candidates import Candidate
from tests.commands.parsed import MINIMAL, run_parsed
from tests.full_disk import no_file_above
from tests.tiny import write_pairs


def run(*arguments: str) -> ExitCode:
    return run_parsed("init", *arguments)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of pairs in a folder below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    path = Path("data") / "pairs.csv"
    write_pairs(path, rows=200, seed=1)
    return path


def settings(path: str):
    return load_config(Path(path), env={}, sets=[]).config


def test_a_config_from_pairs_is_valid_and_names_the_file_below_it(pairs, capsys):
    assert run(str(pairs), "out.yaml") == ExitCode.FINISHED
    assert capsys.readouterr().out == "wrote out.yaml. Next: siamese-job train out.yaml\n"
    found = settings("out.yaml")
    assert (found.run.name, found.data.train, found.data.root) == (
        "pairs", "data/pairs.csv", None,
    )  # fmt: skip


def test_data_that_do_not_lie_below_the_config_get_a_root(pairs):
    Path("configs").mkdir()
    run(str(pairs), "configs/out.yaml")
    found = settings("configs/out.yaml")
    assert (found.data.root, found.data.train) == ("../data", "pairs.csv")


def test_every_choice_has_its_reason_above_it(pairs):
    run(str(pairs), "out.yaml")
    lines = Path("out.yaml").read_text().splitlines()
    for key in ("tokens:", "encoder:", "head:", "loss:", "split:", "global_batch_size:"):
        at = next(n for n, line in enumerate(lines) if line.strip().startswith(key))
        assert lines[at - 1].strip().startswith("# "), key


def test_without_a_second_path_the_config_is_printed_and_nothing_written(pairs, capsys):
    before = sorted(os.listdir("."))
    run(str(pairs))
    Path("printed.yaml").write_text(capsys.readouterr().out)
    assert settings("printed.yaml").data.train == "data/pairs.csv"
    assert sorted(os.listdir(".")) == sorted([*before, "printed.yaml"])


def test_flags_name_the_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path("odd.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("p", "q", "r", "s"))
        for n in range(200):
            writer.writerow((f"cat {n}", f"dog {n + n % 2}", f"row {n}", n % 2))
    with pytest.raises(ConfigError, match=r"'p' \(200 values\).*--left NAME --right NAME"):
        run("odd.csv", "out.yaml")
    assert not Path("out.yaml").exists()
    run("odd.csv", "out.yaml", "--left", "p", "--right", "q", "--label", "s")
    columns = settings("out.yaml").data.columns
    assert (columns.left, columns.right, columns.label) == ("p", "q", "s")


def test_a_set_of_images_keeps_its_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 12, 10), np.uint8)
    np.savez("digits.npz", images=images, digit=np.arange(120) % 6)
    run("digits.npz", "out.yaml")
    found = settings("out.yaml")
    assert (found.data.kind, found.data.size, found.data.columns.item_class) == (
        "image", 12, "digit",
    )  # fmt: skip
    assert found.data.split.by == "row"  # six classes teach nothing about a seventh


def test_a_set_of_sequences_is_read_with_its_longest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 20, 90)
    values = rng.normal(size=(lengths.sum(), 3)).astype(np.float32)
    np.savez("walks.npz", values=values, lengths=lengths, person=np.arange(90) % 45)
    run("walks.npz", "out.yaml")
    found = settings("out.yaml")
    assert (found.data.kind, found.data.split.by) == ("sequence", "identity")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["nothing.csv"], DataError, "there is no file or folder"),
        (["data.txt"], ConfigError, "has no known format. Known: .csv"),
        (["empty.csv"], DataError, "should name two columns or more"),
        (["head.csv"], DataError, "holds no rows"),
        (["words.csv"], ConfigError, "holds 'no', 'yes', and a label is 1"),
        (["pairs.csv", "o.yaml", "--left", "lefd"], ConfigError, "Did you mean 'left'"),
        (["pairs.csv", "o.yaml", "--try", "0.5"], ConfigError, "too few to compare two"),
        (["pairs.csv", "pairs.csv", "--force"], ConfigError, "may be data, which is only read"),
        (["--left", "a"], ConfigError, "--left is about DATA, and there is none"),
        (["o.yaml", "--try", "3"], ConfigError, "--try is about DATA, and there is none"),
        (["folder"], ConfigError, "holds nothing. Needed is one data file"),
        (["two"], ConfigError, "holds 'a.csv', 'b.csv'. Needed is one data file"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    tmp_path, monkeypatch, arguments, error, message
):
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text("left,right,label\n")
    Path("empty.csv").write_text("")
    Path("head.csv").write_text("left,right,label\n")
    words = [f"a{n},b{n},{'yes' if n % 2 else 'no'}\n" for n in range(50)]
    Path("words.csv").write_text("left,right,label\n" + "".join(words))
    write_pairs(Path("pairs.csv"), rows=100, seed=1)
    Path("folder").mkdir()
    Path("two").mkdir()
    for name in "ab":
        write_pairs(Path("two") / f"{name}.csv", rows=10, seed=1)
    with pytest.raises(error, match=message):
        run(*arguments)
    assert not Path("o.yaml").exists()


def test_a_path_that_cannot_be_written_is_refused_before_the_data_are_read(config):
    with pytest.raises(ConfigError, match="No such file or directory"):
        run("nothing.csv", "no/out.yaml")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [([0.7, 0.9], ExitCode.FINISHED), ([0.7, KeyboardInterrupt], ExitCode.INTERRUPTED)],
)
def test_the_best_candidate_is_written_also_after_ctrl_c(
    pairs, monkeypatch, capsys, outcomes, code
):
    left = list(outcomes)

    def train(candidate: Candidate, seconds: float) -> Result:
        outcome = left.pop(0)
        if isinstance(outcome, type):
            raise outcome
        return Result(candidate, outcome, 100, seconds)

    monkeypatch.setattr("job.init.tried.Trainer", lambda *args, **kwargs: train)
    assert run(str(pairs), "out.yaml", "--try", "1.4") == code
    best = max(one for one in outcomes if isinstance(one, float))
    for text in (Path("out.yaml").read_text(), capsys.readouterr().err):
        assert f"{best:.4f}" in text
    settings("out.yaml")


def test_the_file_is_written_although_nobody_reads_the_progress(pairs, monkeypatch):
    def train(candidate: Candidate, seconds: float) -> Result:
        return Result(candidate, 0.9, 100, seconds)

    monkeypatch.setattr("job.init.tried.Trainer", lambda *args, **kwargs: train)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as nobody:
        monkeypatch.setattr("sys.stderr", nobody)
        assert run(str(pairs), "out.yaml", "--try", "1.4") == ExitCode.FINISHED
    settings("out.yaml")


def test_sigterm_removes_the_temporary_folder(pairs, monkeypatch, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    seen = []

    def train(candidate: Candidate, seconds: float) -> Result:
        seen.append(len(list(scratch.iterdir())))
        signal.raise_signal(signal.SIGTERM)
        return Result(candidate, 0.9, 100, seconds)

    monkeypatch.setattr("job.init.tried.Trainer", lambda *args, **kwargs: train)
    with pytest.raises(TerminatedError, match="init was ended by SIGTERM"):
        run(str(pairs), "out.yaml", "--try", "1.4")
    assert (seen, list(scratch.iterdir())) == ([1], [])
    assert not Path("out.yaml").exists()


def test_too_many_bad_rows_are_told_instead_of_the_next_command(pairs, capsys):
    with pairs.open("a") as file:
        file.write(",dog,1\n" * 50)
    assert run(str(pairs), "out.yaml") == ExitCode.FINISHED
    out = capsys.readouterr().out
    assert out.startswith("wrote out.yaml. It does not run yet: 20.00% of the rows cannot be")
    text = Path("out.yaml").read_text()
    assert "It does not run yet: 20.00% of the rows" in text
    assert "siamese-job train" not in out + text
    with pytest.raises(DataError, match="--try has nothing to train on"):
        run(str(pairs), "other.yaml", "--try", "2")
    assert not Path("other.yaml").exists()


def test_a_file_that_is_unlike_the_data_is_told(pairs, capsys):
    Path("data/test.csv").write_text("id,text\n1,a\n")
    run(str(pairs), "out.yaml")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("'test.csv' beside it is left out: it has no column 'left'")
    assert second == "wrote out.yaml. Next: siamese-job train out.yaml"
    assert settings("out.yaml").data.test is None


# tests/docs/test_commands.py trains what `init` writes, with fewer checks.
@pytest.mark.slow
@pytest.mark.prove
def test_what_init_writes_trains_as_it_is(pairs):
    run(str(pairs), "out.yaml")
    sets = ["training.epochs=1", "export.enabled=false", "metrics.enabled=false"]
    command = [sys.executable, "-m", "job", "train", "out.yaml"]
    for one in sets:
        command += ["--set", one]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == ExitCode.FINISHED, done.stderr
    assert (Path("runs") / "pairs" / "summary.json").exists()


def test_without_arguments_a_starter_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == ExitCode.FINISHED
    text = capsys.readouterr().out
    assert text.startswith(f"# yaml-language-server: $schema={COMMITTED.as_uri()}\n")


def test_a_path_alone_gets_a_starter_that_is_valid(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("new.yaml")
    assert "siamese-job train new.yaml" in capsys.readouterr().out
    assert load_config(Path("new.yaml"), env={}, sets=[]).config.run.name == "my-run"


def test_init_never_overwrites_unless_forced(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"'c\.yaml' exists and is unchanged"):
        run("c.yaml")
    assert config.read_text() == MINIMAL
    run("c.yaml", "--force")
    assert "my-run" in config.read_text()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no/c.yaml", "cannot be written: No such file or directory"),
        ("c.yaml/d.yaml", "cannot be written: Not a directory"),
        ("x" * 300 + ".yaml", "cannot be written: File name too long"),
    ],
)
def test_init_refuses_a_path_it_cannot_write(config: Path, path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(path, "--force")
    assert str(caught.value).startswith(f"init: {path!r} {reason}")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (13, PermissionDeniedError),
        (1, PermissionDeniedError),
        (30, PermissionDeniedError),
        (28, DiskFullError),
        (122, DiskFullError),
        (5, ConfigError),
    ],
)
def test_init_translates_what_the_system_says(
    config: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, "said the system")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(expected, match="said the system"):
        run("new.yaml")


def test_init_keeps_the_mode_of_the_file_it_overwrites(config: Path) -> None:
    config.chmod(0o640)
    run("c.yaml", "--force")
    assert config.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["new.yaml", "c.yaml"])
def test_init_on_a_full_disk_leaves_what_is_there(config: Path, name: str) -> None:
    before = sorted(os.listdir(config.parent))
    force = ["--force"] if name == "c.yaml" else []
    with no_file_above(100), pytest.raises(DiskFullError):
        run(name, *force)
    assert sorted(os.listdir(config.parent)) == before
    assert config.read_text() == MINIMAL
