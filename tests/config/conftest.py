"""A configuration file from its text, and what loading it says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from job.config.loader.load_config import LoadedConfig, load_config
from job.errors import ConfigError

# What has no default. Lines 1 and 2 of every file made with `load`.
MINIMAL = "run: {name: a}\ndata: {train: a.csv}\n"


class Load(Protocol):
    def __call__(
        self, text: str = "", *, env: Mapping[str, str] = {}, sets: Sequence[str] = ()
    ) -> LoadedConfig: ...


class Complaints(Protocol):
    def __call__(
        self, text: str = "", *, env: Mapping[str, str] = {}, sets: Sequence[str] = ()
    ) -> list[str]: ...


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a file `c.yaml` of `MINIMAL` and the given text behind it."""
    monkeypatch.chdir(tmp_path)

    def load_text(
        text: str = "", *, env: Mapping[str, str] = {}, sets: Sequence[str] = ()
    ) -> LoadedConfig:
        Path("c.yaml").write_text(MINIMAL + text, encoding="utf-8")
        return load_config(Path("c.yaml"), env=env, sets=sets)

    return load_text


@pytest.fixture
def conflicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Complaints:
    """The lines that refuse a file `c.yaml` of exactly the given text."""
    monkeypatch.chdir(tmp_path)

    def refuse(
        text: str = MINIMAL, *, env: Mapping[str, str] = {}, sets: Sequence[str] = ()
    ) -> list[str]:
        Path("c.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config(Path("c.yaml"), env=env, sets=sets)
        return str(caught.value).splitlines()

    return refuse
