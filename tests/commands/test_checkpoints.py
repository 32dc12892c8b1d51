"""`checkpoints` and `runs` on folders that the manager wrote; no TensorFlow."""

import json
from pathlib import Path

import pytest

from job.checkpoints.records import Best
from job.cli import main
from job.errors import ExitCode
from job.storage.gcs.store import GsStore
from job.storage.local import FileStore
from tests.checkpoints.tiny_run import acquired, epoch_ended, initial, stepped
from tests.e2e.conftest import ask_directly
from tests.fakes.gcs_server import FakeGcs


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with the weights of its best epoch, of step 5, and the checkpoint of step 6."""
    folder = tmp_path / "runs" / "tiny"
    manager = acquired(FileStore(folder))
    state = initial()
    for _ in range(5):
        state = stepped(state)
    state, metrics, _ = epoch_ended(state)
    manager.save(state, metrics=metrics, best=Best(5, 1, "val_loss", 0.25))
    manager.save(stepped(state), metrics={})
    manager.collect_garbage()
    manager.finish("preempted", "stopped by SIGTERM")
    return folder


def output(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(argv) == code
    return capsys.readouterr().out


def test_ls_shows_what_can_be_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "checkpoints", "ls", str(run)).splitlines()
    created = "2026-01-01T00:00:00Z"
    assert lines[0].startswith("run tiny: preempted (stopped by SIGTERM), attempt 1 on host ")
    assert [line.split() for line in lines[1:]] == [
        ["step", "epoch", "created", "size", "val_loss", "finite", "restorable"],
        ["5", "1", created, "0.6", "kB", "0.2500", "yes", "weights", "only", "best"],
        ["6", "1", created, "1.2", "kB", "-", "yes", "yes"],
    ]


def test_ls_names_an_ending_as_runs_ls_does(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "summary.json").write_text('{"outcome": "interrupted"}')
    lines = output(capsys, "checkpoints", "ls", str(run)).splitlines()
    assert lines[0].startswith("run tiny: interrupted (stopped by SIGTERM), attempt 1 on host ")
    listed = output(capsys, "runs", "ls", str(run.parent)).splitlines()[1].split()
    assert listed[:2] == ["tiny", "interrupted"]


def test_ls_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(output(capsys, "checkpoints", "ls", run.as_uri(), "--json"))
    assert (report["status"], report["attempt"], report["owner"]["host"]) == (
        "preempted",
        1,
        "here",
    )
    assert [(one["step"], one["restorable"], one["best"]) for one in report["checkpoints"]] == [
        (5, False, True),
        (6, True, False),
    ]
    assert report["checkpoints"][0]["metrics"]["val_loss"] == 0.25


def test_ls_survives_a_damaged_commit(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [commit] = run.glob("ckpt/000000000006-*/COMMIT.json")
    commit.write_bytes(b"{")
    assert "damaged" in output(capsys, "checkpoints", "ls", str(run))


def test_verify_names_what_is_damaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = output(capsys, "checkpoints", "verify", str(run))
    assert [line.split()[1] for line in out.splitlines()] == ["intact", "intact"]
    [shard] = run.glob("ckpt/000000000006-*/state-*.npz")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert main(["checkpoints", "verify", str(run)]) == ExitCode.DATA
    out, err = capsys.readouterr()
    assert f"{shard.parent.name}  {shard.name} has another" in out
    assert "1 of 2 checkpoints are damaged" in err


def test_gc_lists_before_it_deletes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    acquired(FileStore(run), name="b")
    left = run / "ckpt" / "000000000009-000001-0000000a" / "state-00000-of-00001.npz"
    left.parent.mkdir()
    left.write_bytes(b"x" * 1000)
    kept = sorted(run.rglob("*.npz"))
    out = output(capsys, "checkpoints", "gc", str(run), "--dry-run")
    assert f"ckpt/{left.parent.name}/{left.name}  1.0 kB" in out
    assert "would delete 1 objects, 1.0 kB" in out
    assert left.exists()
    assert "deleted 1 objects" in output(capsys, "checkpoints", "gc", str(run), "--yes")
    assert sorted(run.rglob("*.npz")) == [path for path in kept if path != left]


@pytest.mark.parametrize("argv", [("ls",), ("verify",), ("gc", "--yes")])
def test_a_folder_without_a_run_is_a_usage_error(
    argv: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoints", *argv, str(tmp_path)]) == ExitCode.CONFIG
    assert "contains no run" in capsys.readouterr().err
    assert main(["checkpoints", *argv, "s3://bucket/run"]) == ExitCode.CONFIG
    assert "siamese-job: RUN: 's3://bucket/run'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def with_summary(root: Path, name: str, **summary: object) -> None:
    store = FileStore(root / name)
    acquired(store).finish("completed", "all epochs done")
    (root / name / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three finished runs, one of them without metrics, and one that was killed."""
    for name, auc in (("low", 0.7), ("high", 0.9), ("failed", None)):
        metrics = None if auc is None else {"test": {"roc_auc": auc}}
        outcome = "finished" if auc else "diverged"
        with_summary(tmp_path, name, outcome=outcome, epochs=2, metrics=metrics)
    acquired(FileStore(tmp_path / "a" / "killed"))
    return tmp_path


def test_runs_are_listed_with_their_outcome(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output(capsys, "runs", "ls", str(root)).splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["a/killed", "running", "-"],
        ["failed", "diverged", "2"],
        ["high", "finished", "2"],
        ["low", "finished", "2"],
    ]


def test_runs_are_sorted_from_the_best(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["runs", "ls", str(root), "--sort", "metrics.test.roc_auc", "--json"]
    runs = json.loads(output(capsys, *argv))
    assert [run["folder"] for run in runs] == ["high", "low", "a/killed", "failed"]
    assert runs[0]["summary"]["metrics"]["test"]["roc_auc"] == 0.9
    assert (runs[2]["status"], runs[2]["summary"]) == ("running", None)


def test_an_unknown_key_gets_a_suggestion(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "ls", str(root), "--sort", "metrics.test.auc"]) == ExitCode.CONFIG
    assert "Did you mean 'metrics.test.roc_auc'?" in capsys.readouterr().err


def test_a_run_whose_configuration_is_damaged_is_listed_as_damaged(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "low" / "config.json").write_text("{")
    (root / "data").mkdir()
    (root / "data" / "config.json").write_text("{}")  # another program's
    lines = output(capsys, "runs", "ls", str(root)).splitlines()
    assert [line.split()[:2] for line in lines[3:]] == [
        ["high", "finished"],
        ["low", "damaged"],
    ]


def test_what_is_no_root_of_runs_is_a_usage_error(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "ls", str(root / "high")]) == ExitCode.CONFIG
    assert f"siamese-job checkpoints ls {root / 'high'}" in capsys.readouterr().err
    assert main(["runs", "ls", "s3://bucket"]) == ExitCode.CONFIG
    assert "siamese-job: ROOT: 's3://bucket'" in capsys.readouterr().err
    assert main(["runs", "ls", str(root / "missing")]) == ExitCode.CONFIG
    assert "there is no such folder" in capsys.readouterr().err


def test_a_root_without_runs_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no runs below" in output(capsys, "runs", "ls", str(tmp_path))


def test_a_bucket_is_read_like_a_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_directly(monkeypatch, "127.0.0.1")
    with FakeGcs(bucket="runs") as server:
        acquired(GsStore("gs://runs/all/tiny", emulator=server.url)).save(initial(), metrics={})
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        assert main(["runs", "ls", "gs://runs/all"]) == ExitCode.CONFIG
        assert "run.allow_emulator" in capsys.readouterr().err
        monkeypatch.setenv("SIAMESE_RUN__ALLOW_EMULATOR", "true")
        assert "tiny  running" in output(capsys, "runs", "ls", "gs://runs/all")
        uri = "gs://runs/all/tiny"
        assert "restorable" in output(capsys, "checkpoints", "ls", uri)
        assert "intact" in output(capsys, "checkpoints", "verify", uri)
        assert "deleted 0 objects" in output(capsys, "checkpoints", "gc", uri, "--yes")
