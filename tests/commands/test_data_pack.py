"""`data pack`: what a person sees, and what training then opens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from job.cli import main
from job.config.loader.load_config import load_config
from job.data.load import load_dataset
from job.errors import ExitCode
from tests.data.packed.some_packs import Calls, assert_same, counted, flip
from tests.fakes.gcs_server import FakeGcs
from tests.tiny import save_config


def load(project: Path, *sets: str):
    loaded = load_config(project / "tiny.yaml", env={}, sets=sets)
    config = loaded.config
    return load_dataset(config.data, folder=loaded.folder, seed=config.run.seed)


def pack(project: Path, out: Path | str, *options: str) -> int:
    return main(["data", "pack", str(project / "tiny.yaml"), str(out), *options])


def inspect(project: Path, *sets: str) -> int:
    overrides = [word for one in sets for word in ("--set", one)]
    return main(["data", "inspect", str(project / "tiny.yaml"), *overrides])


@pytest.fixture
def packed(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert pack(project, project / "packed") == ExitCode.FINISHED
    capsys.readouterr()
    return project / "packed"


def test_a_few_lines_say_what_was_packed_and_how_to_use_it(project, capsys):
    out = project / "out with blank"
    assert pack(project, out) == ExitCode.FINISHED
    shown = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"packed \d+ items of kind text into {out}", shown[0])
    assert re.fullmatch(r"pairs: train 160, validation \d+, test \d+", shown[1])
    assert re.fullmatch(r"files: 12, [\d,]+ bytes", shown[2])
    assert re.fullmatch(r"fingerprint: [0-9a-f]{64}", shown[3])
    assert shown[4:] == [f"use it with: --set 'data.packed={out}'"]


def test_a_packed_set_is_what_the_files_give(project, packed):
    assert_same(load(project, f"data.packed={packed}"), load(project))


def test_a_packed_set_is_opened_where_the_files_are_gone(project, packed):
    before = load(project)
    for name in ("train", "validation", "test"):
        (project / f"{name}.csv").unlink()
    assert_same(load(project, "data.packed=packed"), before)
    assert_same(load(project, "data.packed=packed", "data.root=/nowhere"), before)


def test_packing_reads_the_files_also_where_a_packed_set_is_configured(project, packed):
    rows = (project / "train.csv").read_text()
    (project / "train.csv").write_text(rows + "new,newer,1\n")
    save_config(project, lambda config: config["data"].update(packed="packed"))
    assert pack(project, packed, "--force") == ExitCode.FINISHED
    assert_same(load(project), load(project, "data.packed=null"))
    assert len(load(project).pairs["train"]) == 161


def test_a_set_that_is_there_is_replaced_by_force_alone(project, packed, capsys):
    before = {path.name: path.read_bytes() for path in packed.iterdir()}
    assert pack(project, packed) == ExitCode.CONFIG
    assert "already contains a packed data set" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in packed.iterdir()} == before
    assert pack(project, packed, "--force") == ExitCode.FINISHED


def test_a_place_is_refused_before_the_data_are_read(project, packed, capsys, monkeypatch):
    monkeypatch.setattr("job.commands.data_pack.load_dataset", None)
    assert pack(project, packed) == ExitCode.CONFIG


@pytest.mark.parametrize("out", ["loop/packed", "n" * 300, "tiny.yaml/packed"])
def test_a_place_where_no_folder_can_be_is_refused_before_the_data_are_read(
    project, capsys, monkeypatch, out
):
    (project / "loop").symlink_to("loop")
    monkeypatch.setattr("job.commands.data_pack.load_dataset", None)
    assert pack(project, project / out) == ExitCode.CONFIG
    err = capsys.readouterr().err
    assert f"{out}' must be a folder" in err
    assert "(OUT)" in err
    assert "Traceback" not in err


def test_a_set_packed_from_other_settings_is_refused_line_by_line(project, packed, capsys):
    assert inspect(project, "data.packed=packed", "data.max_length=77") == ExitCode.CONFIG
    err = capsys.readouterr().err
    assert re.search(r"data\.max_length: the pack has \d+, the config says 77", err)
    assert "siamese-job data pack" in err


@pytest.mark.parametrize("command", ["inspect", "train"])
def test_a_checksum_that_differs_is_a_data_error(project, packed, capsys, command):
    flip(packed / "values.npy", -1)
    arguments = [str(project / "tiny.yaml"), "--set", "data.packed=packed"]
    words = ["data", "inspect"] if command == "inspect" else ["train"]
    assert main([*words, *arguments]) == ExitCode.DATA == 3
    err = capsys.readouterr().err
    assert re.search(r"data\.packed: values\.npy has crc32c [0-9a-f]{8} and was written", err)
    assert "Pack the data again with `siamese-job data pack`, or copy the set again." in err
    assert not (project / "runs").exists()


@pytest.mark.parametrize("half", ["killed while packing", "copied in part"])
def test_a_set_packed_half_is_a_data_error_and_the_same_command_repairs_it(
    project, packed, capsys, half
):
    if half == "copied in part":
        (packed / "dataset.json").unlink()
        words = "contains no dataset.json, which is written last"
    else:
        (packed / "dataset.json").unlink()
        (project / "packed.packing-x").mkdir()
        packed.rename(project / "packed.packing-x/new")
        words = "An interrupted `siamese-job data pack` left"
    assert inspect(project, "data.packed=packed") == ExitCode.DATA == 3
    assert words in capsys.readouterr().err
    assert pack(project, packed) == ExitCode.FINISHED
    assert_same(load(project, "data.packed=packed"), load(project))


def test_ctrl_c_leaves_nothing(project, capsys):
    def interrupt() -> None:
        raise KeyboardInterrupt

    with counted(Calls(at=8, what=interrupt)):
        assert pack(project, project / "out") == ExitCode.INTERRUPTED
    assert [path for path in project.iterdir() if path.name.startswith("out")] == []


@pytest.mark.parametrize("key", ["train", "validation", "test"])
def test_a_place_in_a_class_folder_is_refused(project, capsys, key):
    (project / "images/cat").mkdir(parents=True)
    save_config(project, lambda config: config["data"].update({key: "images"}))
    for out in ("images/packed", "images/cat/packed"):
        assert pack(project, project / out) == ExitCode.CONFIG
        err = capsys.readouterr().err
        assert f"in the folder that data.{key} names ('images')" in err


@pytest.mark.parametrize(
    ("data", "out"),
    [
        ({"train": "gs://sets/images"}, "gs://sets/images/packed"),
        ({"train": "images", "root": "gs://sets/faces"}, "gs://sets/faces/images/packed"),
        ({"train": ["gs://sets/a", "gs://sets/images"]}, "gs://sets/images/packed"),
    ],
)
def test_a_place_in_a_class_folder_of_a_bucket_is_refused(project, capsys, data, out):
    save_config(project, lambda config: config["data"].update(data))
    assert pack(project, out) == ExitCode.CONFIG
    assert "in the folder that data.train names" in capsys.readouterr().err


def test_another_scheme_is_refused(project, capsys):
    assert pack(project, "s3://sets/x") == ExitCode.CONFIG
    assert "OUT: 's3://sets/x': s3:// is not supported" in capsys.readouterr().err


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with FakeGcs(bucket="sets") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


ALLOWED = ("--set", "run.allow_emulator=true")


def test_a_set_goes_into_a_bucket_and_is_read_from_there(
    project, capsys, bucket, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    assert inspect(project) == ExitCode.FINISHED
    expected = capsys.readouterr().out
    out = "gs://sets/team/tiny"
    assert pack(project, out, *ALLOWED) == ExitCode.FINISHED
    assert capsys.readouterr().out.endswith(f"use it with: --set data.packed={out}\n")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert "team/tiny/dataset.json" in bucket.bucket.objects
    assert pack(project, out, *ALLOWED) == ExitCode.CONFIG
    assert pack(project, out, *ALLOWED, "--force") == ExitCode.FINISHED
    capsys.readouterr()
    assert inspect(project, f"data.packed={out}", "run.allow_emulator=true") == 0
    assert capsys.readouterr().out == expected


def test_files_in_a_bucket_are_read_as_those_of_this_machine(project, capsys, bucket, tmp_path):
    assert inspect(project) == ExitCode.FINISHED
    expected = capsys.readouterr().out
    for name in ("train", "validation", "test"):
        path = project / f"{name}.csv"
        bucket.bucket.insert({"name": f"t/{path.name}"}, path.read_bytes(), if_generation=0)
        path.unlink()
    mirror = f"data.mirror={tmp_path / 'mirror'}"
    allowed = "run.allow_emulator=true"
    assert inspect(project, "data.root=gs://sets/t", mirror, allowed) == ExitCode.FINISHED
    assert capsys.readouterr().out == expected
    assert inspect(project, "data.root=gs://sets/t", mirror) == ExitCode.CONFIG
    assert "run.allow_emulator" in capsys.readouterr().err


def test_a_list_of_files_is_read_here_and_in_a_bucket_and_packed(
    project, capsys, bucket, tmp_path
):
    assert inspect(project) == ExitCode.FINISHED
    expected = capsys.readouterr().out
    header, *rows = (project / "train.csv").read_bytes().splitlines(keepends=True)
    (project / "train.csv").write_bytes(header + b"".join(rows[:100]))
    bucket.bucket.insert({"name": "t/2.csv"}, header + b"".join(rows[100:]), if_generation=0)
    files = [
        "data.train=[train.csv, gs://sets/t/2.csv]",
        "run.allow_emulator=true",
        f"data.mirror={tmp_path / 'mirror'}",
    ]
    assert inspect(project, *files) == ExitCode.FINISHED
    assert capsys.readouterr().out == expected
    sets = [word for setting in files for word in ("--set", setting)]
    assert pack(project, project / "packed", *sets) == ExitCode.FINISHED
    capsys.readouterr()
    (project / "train.csv").unlink()
    assert inspect(project, *files, "data.packed=packed") == ExitCode.FINISHED
    assert capsys.readouterr().out == expected


def test_packing_does_without_tensorflow(project):
    program = (
        "import sys\n"
        "from job.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "heavy = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    argv = ["data", "pack", str(project / "tiny.yaml"), str(project / "out")]
    subprocess.run([sys.executable, "-c", program, *argv], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_with_its_own_code_and_leaves_nothing(project, capsys):
    disk = project / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=True)
    try:
        code = pack(project, disk / "out")
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
    assert code == ExitCode.LOCAL_STORAGE
    assert re.search(r"\d+ bytes are needed and \d+ are free", capsys.readouterr().err)
    assert left == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_mounted_volume_itself_is_no_place(project, capsys):
    disk = project / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        assert pack(project, disk) == ExitCode.CONFIG
        assert "is the mount point of a volume" in capsys.readouterr().err
        assert not list(project.glob("disk.packing-*"))
        assert pack(project, disk / "out") == ExitCode.FINISHED
    finally:
        subprocess.run(["umount", disk], check=True)
