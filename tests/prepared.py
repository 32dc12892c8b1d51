"""Files that `make data` makes, which a checkout alone does not have."""

import os
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def require_prepared(path: Path) -> None:
    """Skips a test where a file or folder is missing, and fails it in CI, which makes it."""
    if path.exists():
        return
    reason = f"{path} is not there; `make data` makes it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
