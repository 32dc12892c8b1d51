"""A packed set, written without waiting for the disk."""

import os
from pathlib import Path

import pytest

from tests.data.packed.some_packs import dataset_of, pack


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do without durability, which only a power cut would show."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack(dataset_of(), tmp_path / "out")
    return tmp_path / "out"
