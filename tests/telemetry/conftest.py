import os
import shutil

import pytest


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of Prometheus' own checker; CI must have it."""
    found = shutil.which("promtool")
    if found is None and not os.environ.get("CI"):
        pytest.skip("promtool is not installed (Debian package `prometheus`)")
    assert found is not None, "CI must have promtool: install Debian's `prometheus`"
    return found
