"""Everything a user can get wrong: one message, the right code, nothing written or lost.

Each case says what is wrong with a project that otherwise trains, and which words of the
message tell the user what was received, what is allowed and what to do.
"""

import gzip
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass

import pytest
import yaml

from job.cli import main
from job.errors import ExitCode
from tests.tiny import files_below, save_config


@dataclass(frozen=True)
class Case:
    """What is done to the project, and what the user must read."""

    name: str
    spoil: object
    code: ExitCode
    words: tuple[str, ...]

    def __str__(self):
        return self.name


def config(change):
    return lambda project: save_config(project, change)


def text(replace, by):
    """Edits the config's text, for what YAML libraries refuse to write."""

    def spoil(project):
        path = project / "tiny.yaml"
        content = path.read_text()
        assert replace in content
        path.write_text(content.replace(replace, by, 1))

    return spoil


def rows(*lines, file="train.csv", keep=False):
    """Replaces the rows of a pair file, or adds to them."""

    def spoil(project):
        path = project / file
        old = path.read_text().splitlines()
        new = old + list(lines) if keep else [old[0], *lines]
        path.write_text("\n".join(new) + "\n")

    return spoil


def content(data, file="train.csv"):
    return lambda project: (project / file).write_bytes(data)


def remove(file):
    return lambda project: (project / file).unlink()


def folder_instead(file):
    def spoil(project):
        (project / file).unlink()
        (project / file).mkdir()

    return spoil


def three_errors(settings):
    settings["training"]["epochs"] = 0
    settings["modle"] = {}
    settings["run"]["seed"] = "seven"


def settings(section, **values):
    """Sets keys of a section, which may be missing."""
    return config(lambda c: c.setdefault(section, {}).update(values))


def custom_callback(target):
    return settings("callbacks", custom=[{"target": target}])


def one_by_one(*steps):
    def spoil(project):
        for step in steps:
            step(project)

    return spoil


def refused_config(name, spoil, *words):
    return Case(name, spoil, ExitCode.CONFIG, words)


def refused_data(name, spoil, *words):
    return Case(name, spoil, ExitCode.DATA, words)


PLACE = r"tiny\.yaml:\d+:\d+: "
HALF_GZIP = gzip.compress(b"left,right,label\n" * 999)[:40]
CASES = [
    refused_config(
        "unknown key",
        settings("training", epohcs=3),
        rf"{PLACE}training\.epohcs: .*Did you mean 'epochs'",
    ),
    refused_config(
        "wrong type", settings("training", epochs="many"), rf"{PLACE}training\.epochs: .*'many'"
    ),
    refused_config(
        "out of bounds", settings("training", epochs=0), rf"{PLACE}training\.epochs: .*1.*got 0"
    ),
    refused_config(
        "duplicate key",
        text("run:\n", "run:\n  name: other\n"),
        r"tiny\.yaml:3:3: run\.name: .*line 2",
    ),
    refused_config(
        "no where a boolean is meant",
        text("logging:\n", "metrics:\n  enabled: no\nlogging:\n"),
        rf"{PLACE}metrics\.enabled: .*true or false.*got 'no'",
    ),
    refused_config(
        "a boolean where text is meant",
        text("name: tiny", "name: false"),
        rf"{PLACE}run\.name: .*got false.*quotes",
    ),
    refused_config(
        "no where a choice is meant",
        text("format: text", "format: no"),
        rf"{PLACE}logging\.format: .*auto.*console.*text.*json.*got 'no'",
    ),
    refused_config(
        "three errors at once",
        config(three_errors),
        r"training\.epochs: ",
        r"modle: .*Did you mean 'model'",
        r"run\.seed: .*got 'seven'",
    ),
    refused_config(
        "a metric nobody measures",
        settings("callbacks", early_stopping={"monitor": "val_acc"}),
        rf"{PLACE}callbacks\.early_stopping\.monitor: .*val_roc_auc.*'val_acc'.*'val_accuracy'",
    ),
    refused_config(
        "missing config file", remove("tiny.yaml"), r"tiny\.yaml", "siamese-job init"
    ),
    refused_config("a folder for the config", folder_instead("tiny.yaml"), r"tiny\.yaml"),
    refused_data(
        "missing data file", remove("validation.csv"), r"data\.validation: .*'validation\.csv'"
    ),
    refused_data(
        "a folder for data", folder_instead("train.csv"), r"data\.train: .*'train\.csv'.*folder"
    ),
    refused_data("empty data file", content(b""), r"data\.train: .*empty"),
    refused_data("only a header", content(b"left,right,label\n"), r"data\.train: "),
    refused_data(
        "missing column",
        content(b"left,rihgt,label\na,b,1\nc,d,0\n"),
        r"data\.train: .*'right'.*rihgt.*data\.columns\.right",
    ),
    refused_data(
        "a label 2 in every row",
        rows(*(f"a{i},b{i},2" for i in range(50))),
        r"data\.train: every one of the 50 rows.*line 2: .*2.*1 for a match",
    ),
    refused_data(
        "too many bad rows",
        rows(*(f"x{i},y{i},2" for i in range(5)), keep=True),
        r"5 of the 165 rows.*max_bad_fraction.*line 162",
    ),
    refused_config(
        "a path that leaves the data folder",
        settings("data", train="../elsewhere.csv"),
        r"data\.train: '\.\./elsewhere\.csv'.*data\.root",
    ),
    refused_data(
        "one class only", rows(*(f"a{i},b{i},1" for i in range(40))), r"data\.train: .*40"
    ),
    refused_data(
        "a split that leaves nothing",
        one_by_one(
            rows("a,b,1", "a,c,0", "b,c,1", "c,d,0"),
            settings("data", validation=None, test=None),
        ),
        r"data\.split\.by: .*validation",
    ),
    refused_config(
        "more batch than pairs",
        settings("training", global_batch_size=1000),
        r"training\.global_batch_size: 1000 .*160",
    ),
    refused_config(
        "unknown data format",
        settings("data", train="train.xlsx"),
        r"data\.train: 'train\.xlsx'.*\.csv",
    ),
    refused_data(
        "a cut gzip file",
        one_by_one(content(HALF_GZIP, "train.csv.gz"), settings("data", train="train.csv.gz")),
        r"data\.train: .*train\.csv\.gz",
    ),
    refused_config(
        "a callback that is not there",
        custom_callback("nowhere:Callback"),
        r"callbacks\.custom\.0\.target: no module 'nowhere' next to",
    ),
    refused_config(
        "a callback that fails to import",
        one_by_one(content(b"1 / 0\n", "broken.py"), custom_callback("broken:X")),
        r"callbacks\.custom\.0\.target: importing 'broken' raised ZeroDivisionError",
    ),
    refused_config(
        "GPUs that are not there",
        settings("distribution", devices="gpu:64"),
        r"distribution\.devices: 'gpu:64' .*TensorFlow sees",
    ),
    refused_config(
        "a bucket of an impossible name",
        settings("run", root="gs://Bad_Bucket/runs"),
        r"run\.root: .*gs://Bad_Bucket/runs",
    ),
]


def train(project, *sets):
    overrides = [word for assignment in sets for word in ("--set", assignment)]
    return main(["train", str(project / "tiny.yaml"), *overrides])


def train_shortly(project):
    save_config(project, lambda c: c.update(export={"enabled": False}))
    assert train(project, "training.epochs=1") == ExitCode.FINISHED


def refused(capsys, project, *sets):
    """Runs `train`; returns the code and the one message, checked for form."""
    code = train(project, *sets)
    err = capsys.readouterr().err
    assert err.startswith("siamese-job: ")
    assert err.count("siamese-job: ") == 1
    assert "Traceback" not in err
    return code, err


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_input_is_refused_with_a_message_a_code_and_nothing_written(case, project, capsys):
    case.spoil(project)
    before = files_below(project)
    code, err = refused(capsys, project)
    assert code == case.code
    for words in case.words:
        assert re.search(words, err, re.DOTALL), f"{words!r} not in {err!r}"
    assert {k: v for k, v in files_below(project).items() if "__pycache__" not in k} == before
    assert not (project / "runs").exists()


def test_no_is_the_text_no_where_text_is_meant(project, capsys):
    text("name: tiny", "name: no")(project)
    assert main(["config", "show", str(project / "tiny.yaml")]) == ExitCode.FINISHED
    assert yaml.safe_load(capsys.readouterr().out)["run"]["name"] == "no"


def test_one_bad_row_among_many_is_kept_out_counted_and_named(project, capsys):
    rows("good,word,2", keep=True)(project)
    train_shortly(project)
    out = capsys.readouterr().out
    assert re.search(r"WARNING rows quarantined .*bad_rows=1 .*train\.csv line 162", out)
    assert re.search(r"data loaded .*train=\"160 pairs .*bad_rows=1$", out, re.MULTILINE)


def test_a_folder_that_holds_another_run_is_not_touched(project, capsys):
    train_shortly(project)
    capsys.readouterr()
    before = files_below(project / "runs")
    code, err = refused(capsys, project, "training.optimizer.learning_rate=0.5")
    assert code == ExitCode.CONFIG
    assert re.search(r"training\.optimizer\.learning_rate: .*0\.02.*0\.5", err)
    assert "run.name" in err
    assert files_below(project / "runs") == before


def test_other_data_under_the_same_config_is_refused(project, capsys):
    train_shortly(project)
    capsys.readouterr()
    rows("abc,abd,1", keep=True)(project)
    before = files_below(project / "runs")
    code, err = refused(capsys, project, "training.epochs=2")
    assert code == ExitCode.CONFIG
    assert "fingerprint" in err
    assert files_below(project / "runs") == before


def test_a_port_in_use_is_refused_before_anything_is_written(project, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = refused(capsys, project, f"metrics.port={port}")
    assert code == ExitCode.CONFIG
    assert re.search(rf"metrics\.port: {port} .*in use", err)
    assert not (project / "runs").exists()


HOLD = """
import sys, time
from pathlib import Path
from job.storage.run_lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_run_in_use_by_a_live_process_is_refused_by_name(project, capsys, monkeypatch):
    monkeypatch.setattr("job.run.directory.WAIT_SECONDS", 0.0)
    folder = project / "runs" / "tiny"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            before = files_below(project)
            code, err = refused(capsys, project)
        finally:
            holder.kill()
    assert code == ExitCode.LOCAL_STORAGE
    assert f"process {holder.pid} on host '{socket.gethostname()}'" in err
    assert files_below(project) == before


# Root may write everywhere. Without this capability it is held to a file's own bits, and still
# reads its own Python, which another user need not be able to.
HELD_TO_PERMISSIONS = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
)


@pytest.mark.slow
def test_an_unwritable_run_folder_is_refused(project):
    folder = project / "runs" / "tiny"
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    result = subprocess.run(
        [
            *HELD_TO_PERMISSIONS,
            sys.executable,
            "-m",
            "job",
            "train",
            str(project / "tiny.yaml"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == ExitCode.PERMISSION, result.stderr
    assert re.search(rf"{folder}.*must be readable and writable", result.stderr, re.DOTALL)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_with_its_own_code_and_keeps_the_last_commit(project, capsys):
    root = project / "runs"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", root], check=True)
    try:
        code, err = refused(capsys, project, "checkpoint.keep_last=100", "training.epochs=50")
        heads = [path.name for path in (root / "tiny").glob("HEAD.json")]
        commits = len(list((root / "tiny").glob("ckpt/*/COMMIT.json")))
    finally:
        subprocess.run(["umount", root], check=True)
    assert code == ExitCode.LOCAL_STORAGE
    assert re.search(r"bytes are needed and \d+ are free", err)
    assert heads == ["HEAD.json"]
    assert commits > 0
