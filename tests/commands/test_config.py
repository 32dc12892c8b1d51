"""`siamese-job config`, through its parser."""

import json
from pathlib import Path

import pytest

from job.config.schema import json_schema
from job.errors import ConfigError, ExitCode
from tests.commands.parsed import run_parsed


def run(*arguments: str) -> ExitCode:
    return run_parsed("config", *arguments)


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


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    run("schema")
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_explain_describes_a_key_or_everything(capsys: pytest.CaptureFixture[str]) -> None:
    run("explain", "training.epochs")
    assert capsys.readouterr().out.startswith("training.epochs\n")
    run("explain")
    assert capsys.readouterr().out.startswith("the configuration\n")
