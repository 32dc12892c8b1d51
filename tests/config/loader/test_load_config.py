"""From a path to a configuration, or to a message without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from job.config.loader.load_config import load_config
from job.errors import ConfigError, ExitCode
from tests.config.conftest import MINIMAL, Load


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, env={}, sets=[])
    assert caught.value.exit_code == ExitCode.CONFIG
    return str(caught.value)


def test_a_minimal_file_has_everything_else_by_default(load: Load) -> None:
    loaded = load()
    assert loaded.config.run.name == "a"
    assert loaded.config.data.train == "a.csv"
    assert loaded.config.training.epochs is None
    assert {key: who for key, who in loaded.origins.items() if who != "default"} == {
        "run.name": "c.yaml:1",
        "data.train": "c.yaml:2",
    }


def test_the_folder_is_the_one_of_the_file_and_absolute(load: Load, tmp_path: Path) -> None:
    loaded = load()
    assert loaded.path == Path("c.yaml")
    assert loaded.folder == tmp_path


def test_a_link_keeps_the_folder_it_lies_in(tmp_path: Path) -> None:
    # As a ConfigMap is mounted: the data lies beside the link.
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "config.yaml").write_text(MINIMAL)
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    assert load_config(tmp_path / "config.yaml", env={}, sets=[]).folder == tmp_path


def test_a_pipe_can_be_read() -> None:
    read, write = os.pipe()
    os.write(write, MINIMAL.encode())
    os.close(write)
    try:
        assert load_config(Path(f"/dev/fd/{read}"), env={}, sets=[]).config.run.name == "a"
    finally:
        os.close(read)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    text = refusal(tmp_path / "no.yaml")
    assert text.startswith("there is no configuration file '")
    assert "no.yaml" in text
    assert "`siamese-job init DATA PATH` writes one" in text


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("is a folder. Give the path of the YAML file in it.")


def test_a_file_below_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert "cannot be read" in refusal(tmp_path / "a" / "b.yaml")


def test_a_path_with_a_nul_cannot_be_read() -> None:
    assert refusal(Path("a\0b")).startswith("'a\\x00b' cannot be read: ")


def test_a_file_nobody_may_read_names_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    path.chmod(0)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from job.config.loader.load_config import load_config\n"
        "from job.errors import PermissionDeniedError\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"  # root may read everything
        "try: load_config(Path(sys.argv[1]), env={}, sets=[])\n"
        "except PermissionDeniedError as error: sys.stdout.write(str(error))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert "may not be read by this user. Change its mode or owner" in result.stdout


def test_an_odd_file_name_keeps_messages_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.yaml"
    path.write_text("run: 3\ndata: 3\n")
    assert len(refusal(path).splitlines()) == 2


def test_nothing_here_imports_what_takes_long() -> None:
    script = (
        "import sys; import job.commands.config, job.config.loader.load_config;"
        "import job.config.describe, job.config.schema;"
        "slow = {'tensorflow', 'keras', 'numpy', 'prometheus_client'};"
        "sys.exit(bool(slow & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
