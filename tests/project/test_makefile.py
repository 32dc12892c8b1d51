"""The Makefile's set-up, driven by a stand-in for Python that writes down what it is asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

# Supported, has venv and ensurepip; `-m venv` copies itself; `-m pip` fails when told to.
STAND_IN = """#!/bin/bash
echo "$*" >> "$CALLS"
case "$*" in
    "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python
        printf '#!/bin/bash\\necho "siamese-job $*" >> "$CALLS"\\n' > .venv/bin/siamese-job
        chmod +x .venv/bin/siamese-job ;;
    "-m pip "*"$PIP_FAILS_ON"*) [ -z "$PIP_FAILS_ON" ] ;;
    *version_info*) [ -z "$OLD" ] ;;
    --version) echo "Python 3.9.1" ;;
esac
"""


class Checkout:
    """A copy of what the Makefile reads, and a record of the calls it makes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._calls = folder / "calls"
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "examples").mkdir()
        for name in ("text.yaml", "images.yaml", "sequences.yaml"):
            (folder / "examples" / name).touch()
        self.python = folder / "python-stand-in"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)

    def make(self, *arguments: str, **settings: str) -> tuple[int, str, list[str]]:
        """Exit status, what was printed, and the calls (the version checks left out)."""
        self._calls.write_text("")
        environment = {
            "PATH": os.environ["PATH"],
            "CALLS": str(self._calls),
            "PIP_FAILS_ON": "",
            "OLD": "",
        }
        done = subprocess.run(
            ["make", f"PYTHON={self.python}", *arguments],
            cwd=self.folder, env=environment | settings, capture_output=True, text=True,
        )  # fmt: skip
        calls = [
            line for line in self._calls.read_text().splitlines() if not line.startswith("-c ")
        ]
        return done.returncode, done.stdout + done.stderr, calls


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def names(calls: list[str]) -> list[str]:
    """The calls, shortened to what they install or run."""
    shortened = []
    for call in calls:
        found = re.search(
            r"-m venv|\S+\.txt|--editable|-m pytest|-m examples\S+|siamese-job .*", call
        )
        shortened.append(found.group() if found else call)
    return shortened


RUNTIME = ["-m venv", "requirements/runtime.txt", "--editable"]
TRAIN = ["siamese-job train examples/text.yaml"]


def test_the_first_example_sets_up_and_trains_and_the_second_only_trains(checkout):
    code, _, calls = checkout.make("example")
    assert code == 0
    assert names(calls) == RUNTIME + TRAIN
    assert names(checkout.make("example")[2]) == TRAIN


def test_tests_after_an_example_add_only_what_tests_need(checkout):
    checkout.make("example")
    assert names(checkout.make("unit")[2]) == ["requirements/dev.txt", "-m pytest"]
    assert names(checkout.make("unit")[2]) == ["-m pytest"]
    assert names(checkout.make("example")[2]) == TRAIN


def test_every_install_asks_for_hashes_or_for_nothing_from_outside(checkout):
    installs = [call for call in checkout.make("unit")[2] if "-m pip" in call]
    assert len(installs) == 3
    for call in installs:
        assert "--no-deps" in call
        assert "--require-hashes" in call or "--no-build-isolation" in call


@pytest.mark.parametrize(
    ("changed", "installed"),
    [
        ("requirements/dev.txt", ["requirements/dev.txt"]),
        ("requirements/runtime.txt", [*RUNTIME[1:], "requirements/dev.txt"]),
        ("pyproject.toml", [*RUNTIME[1:], "requirements/dev.txt"]),
    ],
)
def test_a_changed_input_is_installed_again_and_so_is_its_return(checkout, changed, installed):
    checkout.make("unit")
    before = (checkout.folder / changed).read_text()
    for text in (before + "\n# changed\n", before):
        (checkout.folder / changed).write_text(text)
        assert names(checkout.make("unit")[2]) == [*installed, "-m pytest"]


def test_another_lock_of_the_tests_leaves_the_example_alone(checkout):
    checkout.make("unit")
    (checkout.folder / "requirements/dev.txt").write_text("")
    assert names(checkout.make("example")[2]) == TRAIN


@pytest.mark.parametrize("fails", ["runtime.txt", "--editable"])
def test_a_failed_install_is_repeated(checkout, fails):
    code, _, calls = checkout.make("example", PIP_FAILS_ON=fails)
    assert code != 0
    assert TRAIN[0] not in calls
    assert names(checkout.make("example")[2]) == RUNTIME[1:] + TRAIN


def test_a_moved_checkout_gets_a_new_environment(checkout, tmp_path):
    checkout.make("example")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in (".venv", "Makefile", "pyproject.toml", "requirements", "examples"):
        shutil.move(checkout.folder / name, moved / name)
    checkout.folder = moved
    assert names(checkout.make("example")[2]) == RUNTIME + TRAIN


def test_an_unsupported_python_is_named_with_the_supported_ones(checkout):
    code, output, calls = checkout.make("example", OLD="yes")
    assert code != 0
    assert "(Python 3.9.1); Python 3.11, 3.12 or 3.13 is needed" in output
    assert calls == ["--version"]
    assert not (checkout.folder / ".venv").exists()


def test_another_example_is_chosen_by_name(checkout):
    assert names(checkout.make("example", "NAME=images")[2])[-1].endswith(
        "examples/images.yaml"
    )


WATCH = ["requirements/data-watch.txt", "-m examples.data.watch.prepare"]


def test_an_example_fetches_the_package_of_its_data_once_and_looks_at_them_each_time(checkout):
    train = "siamese-job train examples/sequences.yaml"
    calls = checkout.make("example", "NAME=sequences")[2]
    assert names(calls) == [*RUNTIME, *WATCH, train]
    (install,) = [call for call in calls if "data-watch.txt" in call]
    for flag in (
        "--require-hashes", "--no-deps", "--no-build-isolation",
        "--target .venv/example-data/watch",
    ):  # fmt: skip
        assert f" {flag} " in install
    assert names(checkout.make("example", "NAME=sequences")[2]) == [WATCH[1], train]
    assert names(checkout.make("example")[2]) == TRAIN


def test_a_package_is_fetched_again_when_its_lock_changed_or_it_failed(checkout):
    code, _, calls = checkout.make("example", "NAME=sequences", PIP_FAILS_ON="data-watch")
    assert code != 0
    assert names(calls) == [*RUNTIME, WATCH[0]]
    assert names(checkout.make("example", "NAME=sequences")[2])[:2] == WATCH
    with (checkout.folder / WATCH[0]).open("a") as lock:
        lock.write("# changed\n")
    assert names(checkout.make("example", "NAME=sequences")[2])[:2] == WATCH


def test_the_data_of_all_examples_are_made_at_once(checkout):
    code, _, calls = checkout.make("data")
    assert code == 0
    sets = ("verses", "watch", "digits")
    assert names(calls) == [
        *RUNTIME,
        *(f"requirements/data-{name}.txt" for name in sets),
        *(f"-m examples.data.{name}.prepare" for name in sets),
    ]


def test_an_unknown_example_is_refused_with_the_known_ones(checkout):
    code, output, calls = checkout.make("example", "NAME=sound")
    assert code != 0
    assert (
        "NAME=sound: there is no examples/sound.yaml. Known: images sequences text." in output
    )
    assert not any("siamese-job" in call for call in calls)


DOCKER = """#!/bin/bash
echo "docker $*" >> "$CALLS"
case "$1 $2" in "image inspect") echo 1234567890 ;; esac
"""


@pytest.fixture
def docker(checkout) -> Path:
    """A stand-in for docker, and the version that the image gets."""
    (checkout.folder / "job").mkdir()
    (checkout.folder / "job/__init__.py").write_text('__version__ = "4.5.6"\n')
    stand_in = checkout.folder / "docker-stand-in"
    stand_in.write_text(DOCKER)
    stand_in.chmod(0o755)
    return stand_in


def test_an_image_is_built_from_the_given_base_and_measured(checkout, docker):
    code, output, calls = checkout.make(
        "image", f"DOCKER={docker}", "BASE_IMAGE=here/python:3", "DOCKER_BUILD_FLAGS=--pull -q"
    )
    assert code == 0, output
    build, inspect, *starts = calls
    assert build.startswith("docker build --tag siamese-job:4.5.6 ")
    for argument in ("BASE_IMAGE=here/python:3", "ACCELERATOR=cpu", "VERSION=4.5.6"):
        assert f" --build-arg {argument} " in build
    assert re.search(r"--build-arg REVISION=\S+ --pull -q \.$", build)
    assert inspect.startswith("docker image inspect ")
    assert starts == ["docker run --rm siamese-job:4.5.6 --help"] * 3
    assert re.search(r"siamese-job:4\.5\.6: 1234 MB, --help in \d+ ms \(best of 3\)", output)


def test_an_image_for_gpus_has_a_name_of_its_own(checkout, docker):
    _, output, calls = checkout.make("image", f"DOCKER={docker}", "ACCELERATOR=cuda")
    assert "--tag siamese-job:4.5.6-cuda " in calls[0]
    assert "siamese-job:4.5.6-cuda: 1234 MB" in output


def test_help_is_the_default_and_lists_every_documented_target(checkout):
    code, output, calls = checkout.make()
    listed = re.findall(r"(?m)^make (\w+) +\S", output)
    phony = re.findall(r"(?m)^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text())
    assert code == 0
    assert listed == [target for target in phony if target != "system"]
    assert calls == []
