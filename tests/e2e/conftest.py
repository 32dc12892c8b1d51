"""Servers of the tests are asked directly, whatever proxies the shell names."""

import os
from collections.abc import Iterator

import pytest


def ask_directly(patch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Lets no program ask a proxy for these hosts; what else goes through one still does."""
    for name in ("no_proxy", "NO_PROXY"):
        known = [os.environ[name]] if os.environ.get(name) else []
        patch.setenv(name, ",".join([*known, *hosts]))


@pytest.fixture(scope="session", autouse=True)
def _loopback_is_asked_directly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        ask_directly(patch, "127.0.0.1", "localhost")
        yield
