"""`siamese-job config`, through its parser."""

import argparse
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from job.commands.parsers import register_commands
from job.config.loader.load_config import load_config
from job.config.schema import COMMITTED, json_schema
from job.errors import ConfigError, DiskFullError, ExitCode, PermissionDeniedError

MINIMAL = "run: {name: a}\ndata: {train: a.csv}\n"


def run(*arguments: str) -> ExitCode:
    parser = argparse.ArgumentParser()
    register_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["config", *arguments])
    code = args.run(args)
    assert isinstance(code, ExitCode)
    return code


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("c.yaml")
    path.write_text(MINIMAL)
    return path


def test_validate_says_that_a_file_is_valid(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("validate", "c.yaml") == ExitCode.FINISHED
    assert capsys.readouterr() == ("c.yaml is valid\n", "")


def test_validate_raises_every_problem(config: Path) -> None:
    config.write_text("run: {nam: a}\ndata: {train: a}\n")
    with pytest.raises(ConfigError) as caught:
        run("validate", "c.yaml", "--set", "epochs=3", "--set", "training.epochs=0")
    assert len(str(caught.value).splitlines()) == 4


def test_show_prints_yaml_with_the_settings_of_all_layers(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIAMESE_METRICS__PORT", "9000")
    run("show", "c.yaml", "--origin", "--set", "training.epochs=3")
    text = capsys.readouterr().out
    assert "  epochs: 3  # --set\n" in text
    assert "  port: 9000  # env SIAMESE_METRICS__PORT\n" in text
    run("show", "c.yaml")
    assert "#" not in capsys.readouterr().out


def test_init_prints_without_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init") == ExitCode.FINISHED
    text = capsys.readouterr().out
    assert text.startswith(f"# yaml-language-server: $schema={COMMITTED.as_uri()}\n")


def test_init_writes_a_file_that_is_valid(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "new.yaml")
    assert "siamese-job train new.yaml" in capsys.readouterr().out
    assert load_config(Path("new.yaml"), env={}, sets=[]).config.run.name == "my-run"


def test_init_never_overwrites_unless_forced(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"'c\.yaml' exists and is unchanged"):
        run("init", "c.yaml")
    assert config.read_text() == MINIMAL
    run("init", "c.yaml", "--force")
    assert "my-run" in config.read_text()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no/c.yaml", "cannot be written: No such file or directory"),
        ("c.yaml/d.yaml", "cannot be written: Not a directory"),
        ("/", "exists and is unchanged"),
        ("/dev/null", "exists and is unchanged"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_init_refuses_a_path_it_cannot_write(config: Path, path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run("init", path, "--force")
    assert str(caught.value).startswith(f"config init: {path!r} {reason}")


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
        run("init", "new.yaml")


def test_init_keeps_the_mode_of_the_file_it_overwrites(config: Path) -> None:
    config.chmod(0o640)
    run("init", "c.yaml", "--force")
    assert config.stat().st_mode & 0o777 == 0o640


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    run("schema")
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_explain_describes_a_key_or_everything(capsys: pytest.CaptureFixture[str]) -> None:
    run("explain", "training.epochs")
    assert capsys.readouterr().out.startswith("training.epochs\n")
    run("explain")
    assert capsys.readouterr().out.startswith("the configuration\n")


@contextmanager
def no_file_above(num_bytes: int) -> Iterator[None]:
    """As on a disk that gets full: what is longer is written in part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("name", ["new.yaml", "c.yaml"])
def test_init_on_a_full_disk_leaves_what_is_there(config: Path, name: str) -> None:
    before = sorted(os.listdir(config.parent))
    force = ["--force"] if name == "c.yaml" else []
    with no_file_above(100), pytest.raises(DiskFullError):
        run("init", name, *force)
    assert sorted(os.listdir(config.parent)) == before
    assert config.read_text() == MINIMAL
