"""The locked requirements: complete, hashed, portable, and in step with pyproject.toml."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
DEV = PROJECT["project"]["optional-dependencies"]["dev"]
DIRECT = [("runtime", line) for line in RUNTIME] + [("dev", line) for line in RUNTIME + DEV]
PYTHONS = ("3.11", "3.12", "3.13")
IMAGE = ["image-cpu", "image-cuda"]
DATA = ["data-digits", "data-records", "data-verses", "data-watch"]
# Named by TensorFlow or astunparse and imported by no code: not in the image.
UNUSED = {"libclang", "setuptools", "wheel"}


def blocks(lock: str) -> list[str]:
    """One string a pinned package: the requirement and its hashes, without comments."""
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    text = re.sub(r"(?m)^\s*#.*\n?", "", text).replace("\\\n", " ")
    return text.splitlines()


def pins(lock: str, *, python: str) -> dict[str, Version]:
    """What a Linux machine with CPython of that version installs."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    found = {}
    for block in blocks(lock):
        requirement = Requirement(block.split("--hash")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is pinned twice for Python {python}"
            found[name] = Version(specifier.version)
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("lock", "line"), DIRECT)
def test_every_direct_dependency_is_pinned_within_its_range(lock, line, python):
    wanted = Requirement(line)
    assert pins(lock, python=python)[canonicalize_name(wanted.name)] in wanted.specifier


@pytest.mark.parametrize("python", PYTHONS)
def test_tests_run_with_the_versions_that_users_get(python):
    assert pins("runtime", python=python).items() <= pins("dev", python=python).items()


@pytest.mark.parametrize("python", PYTHONS)
def test_the_image_has_the_versions_that_users_get(python):
    runtime = pins("runtime", python=python)
    wanted = {name: version for name, version in runtime.items() if name not in UNUSED}
    cuda = pins("image-cuda", python=python)
    nvidia = {name for name in cuda if name.startswith("nvidia-")}
    assert {name: version for name, version in cuda.items() if name not in nvidia} == wanted
    assert {"nvidia-cudnn-cu12", "nvidia-nccl-cu12", "nvidia-cuda-nvcc-cu12"} <= nvidia
    wanted["tensorflow-cpu"] = wanted.pop("tensorflow")
    assert pins("image-cpu", python=python) == wanted
    assert pins("image-build", python=python) == {"setuptools": runtime["setuptools"]}


@pytest.mark.parametrize("lock", ["runtime", "dev", "bench", *IMAGE, *DATA])
def test_every_pin_is_exact_and_has_hashes(lock):
    lines = blocks(lock)
    # A package of data is fetched without what it would need to run.
    assert len(lines) == 1 if lock in DATA else len(lines) > 40
    strange = [
        line
        for line in lines
        if not re.fullmatch(r"[\w.-]+==[\w.]+( ; [^-]*)?(\s+--hash=sha256:[0-9a-f]{64})+", line)
    ]
    assert strange == []


@pytest.mark.parametrize("lock", ["runtime", "dev", "bench", "image-build", *IMAGE, *DATA])
def test_a_lock_names_no_address_and_no_folder_of_the_machine_that_made_it(lock):
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    assert not re.search(
        r"://|--(extra-)?index|--find-links|--trusted|^\s*#\s*/|=/", text, re.M
    )
    assert "\n#    make lock\n" in text


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_lock_resolves_to_wheels_on_newer_pythons(python, tmp_path):
    command = [
        uv.find_uv_bin(), "pip", "install", "--dry-run",
        "--python", sys.executable, "--target", str(tmp_path), "--python-version", python,
        "--python-platform", "x86_64-manylinux_2_28", "--only-binary", ":all:",
        "--require-hashes", "--requirements", str(ROOT / "requirements/dev.txt"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if "Failed to fetch" in done.stderr and not os.environ.get("CI"):
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr
    for name, version in pins("dev", python=python).items():
        assert f" + {name}=={version}" in done.stderr
