"""What every test starts from: a quiet TensorFlow, no settings of the developer's own."""

import os
from pathlib import Path

import hypothesis
import pytest

from tests.tiny import make_project

# Read when TensorFlow is first imported, here and in the processes that tests start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The same examples every time: a failure found here is found again, and by everybody.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SIAMESE_*` variables of the shell that runs the tests are not part of a test."""
    for name in [name for name in os.environ if name.startswith("SIAMESE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `tiny.yaml` and its data; runs go to `runs` beside them."""
    make_project(tmp_path)
    return tmp_path
