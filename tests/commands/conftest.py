"""Working directories of commands."""

from pathlib import Path

import pytest

from tests.commands.parsed import MINIMAL


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config(place: Path) -> Path:
    """A minimal configuration in the working directory."""
    path = Path("c.yaml")
    path.write_text(MINIMAL)
    return path
