"""What the image says about itself and what lies in it."""

import json

import pytest

from job import __version__
from tests.image.docker import config_of, docker, shell

pytestmark = [pytest.mark.image, pytest.mark.slow]


def test_it_runs_the_program_as_a_numeric_user_without_a_shell(image):
    config = config_of(image)
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["siamese-job"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["WorkingDir"] == "/scratch"
    assert sorted(config["Volumes"]) == ["/scratch", "/tmp"]


def test_labels_say_what_it_is_and_where_it_comes_from(image):
    prefix = "org.opencontainers.image."
    labels = {
        name.removeprefix(prefix): value for name, value in config_of(image)["Labels"].items()
    }
    assert labels["title"] == "siamese-job"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == __version__
    assert labels["description"]
    assert labels["revision"]
    assert "source" in labels


def test_it_is_the_version_it_says(image):
    assert docker("run", "--rm", image, "--version").stdout == f"siamese-job {__version__}\n"


def test_every_place_for_files_lies_in_a_volume(image):
    names = (
        "HOME",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "KERAS_HOME",
        "MPLCONFIGDIR",
        "CUDA_CACHE_PATH",
    )
    variables = dict(line.split("=", 1) for line in config_of(image)["Env"])
    for name in names:
        assert f"{variables[name]}/".startswith("/tmp/"), name
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"


def test_metrics_listen_on_every_interface_and_the_origin_is_shown(image):
    shown = docker(
        "run", "--rm", image, "config", "show", "--origin", "/examples/text.yaml"
    ).stdout
    (line,) = [line for line in shown.splitlines() if "0.0.0.0" in line]
    assert "SIAMESE_METRICS__HOST" in line


def test_only_the_volumes_are_writable_by_everybody_and_nothing_lends_rights(image):
    kinds = "\\( -type f -o -type d \\)"
    listing = shell(image, f"find / -xdev {kinds} -perm -0002", user="0:0")
    assert sorted(listing.split()) == ["/scratch", "/tmp"]
    volumes = shell(image, "stat -c '%a %n' /scratch /tmp")
    assert volumes.splitlines() == ["1777 /scratch", "1777 /tmp"]
    assert shell(image, "find / -xdev -type f -perm /6000; echo .", user="0:0").split() == ["."]


def test_everything_the_program_reads_is_readable_by_everybody(image):
    unreadable = "find /opt/venv /examples ! -type l ! -perm -0444; echo ."
    assert shell(image, unreadable, user="0:0").split() == ["."]


def test_no_installer_and_no_compiler_is_in_it(image):
    tools = "pip pip3 uv gcc cc g++ clang make git curl wget"
    assert shell(image, f"for tool in {tools}; do command -v $tool; done; echo .") == ".\n"
    modules = "('pip', 'ensurepip', 'setuptools', 'wheel')"
    code = f"import importlib.util as u; print([m for m in {modules} if u.find_spec(m)])"
    for python in ("python", "$(readlink -f /opt/venv/bin/python)"):
        assert shell(image, f'{python} -c "{code}"') == "[]\n"


def test_nothing_is_compiled_at_the_start(image):
    # A read-only root could not keep the bytecode: each start would compile it again.
    code = "import job.commands.train, google.cloud.storage, keras, sys"
    said = shell(image, f"python -v -c '{code}' 2>&1 | grep 'code object from' || true")
    assert ".pyc'" in said
    assert [line for line in said.splitlines() if line.endswith(".py'")] == []


def test_examples_lie_beside_their_data(image):
    done = docker("run", "--rm", image, "data", "inspect", "/examples/text.yaml", "--json")
    assert json.loads(done.stdout)
