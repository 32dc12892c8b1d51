"""What every test starts from: a quiet TensorFlow, no settings of the developer's own."""

import codecs
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path

import hypothesis
import pytest

from job.distribution import hardware
from tests.tiny import make_project

NOBODY = 65534

# Read when TensorFlow is first imported, here and in the processes that tests start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The same examples every time: a failure found here is found again, and by everybody.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets every worker begin with its share of the modules that have slow tests.

    `--dist worksteal` gives each worker consecutive tests, and an idle worker steals from the
    end of another's. Slow tests at the end would leave a worker idle, and a module that is
    divided has its fixtures set up, and trained, by both workers.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    slow = [
        module
        for module in modules.values()
        if any(item.get_closest_marker("slow") for item in module)
    ]
    fast = [item for module in modules.values() if module not in slow for item in module]
    share = len(items) // workers
    items.clear()
    for worker in range(workers):
        own = list(chain.from_iterable(slow[worker::workers]))
        num_fast = max(0, share - len(own))
        items += own + fast[:num_fast]
        del fast[:num_fast]
    items += fast


def pytest_collection_finish() -> None:
    """Gives TensorFlow the same threads in every run of this process, before a test uses it.

    They cannot change once it is open, and the tests of a process run several encoders.
    """
    pytest.MonkeyPatch().setattr(hardware, "fitting_threads", lambda _, cores: cores)
    if tf := sys.modules.get("tensorflow"):
        tf.config.threading.set_intra_op_parallelism_threads(hardware.num_cores())
        tf.config.threading.set_inter_op_parallelism_threads(hardware.num_cores())


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


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; those of `tmp_path` are its owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """Permissions do not hold root back, so root becomes nobody for a while."""

    @contextmanager
    def become_nobody() -> Iterator[None]:
        user = os.geteuid()
        # A codec that cannot be imported, as from the home of root, is never looked for again.
        codecs.lookup("utf-8-sig")
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield
        finally:
            if user == 0:
                os.seteuid(0)

    return become_nobody
