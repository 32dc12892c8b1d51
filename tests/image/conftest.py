"""The image under test. Tests build and pull none: `E2E_IMAGE` names the one to take."""

import os

import pytest

from tests.image.docker import daemon_answers, docker

IMAGE = os.environ.get("E2E_IMAGE", "")


@pytest.fixture(scope="session")
def image() -> str:
    if not IMAGE:
        pytest.skip("E2E_IMAGE names no image; `make image` builds one")
    if not daemon_answers():
        pytest.skip("no Docker daemon answers")
    assert docker("image", "inspect", IMAGE, check=False).returncode == 0, (
        f"E2E_IMAGE={IMAGE}: the daemon has no such image; `make image` builds one"
    )
    return IMAGE
