"""After a power cut a folder holds what was forced to disk, and that is enough."""

from pathlib import Path

import pytest

from job.storage.local import FileStore
from tests.checkpoints.enumeration import STOP_AT
from tests.checkpoints.power_cut import Disk
from tests.checkpoints.tiny_run import END, Attempt, check_invariants, fingerprint
from tests.fakes.memory_store import MemoryStore


def test_power_cut_at_any_moment_loses_nothing_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path / "run")
    attempts = [Attempt(store, "first", stop_at=STOP_AT), Attempt(store, "second")]
    # What is left, and the newest step that a save had promised by then.
    left: dict[tuple[tuple[str, bytes], ...], int] = {}

    def cut() -> None:
        durable = max(attempt.durable for attempt in attempts)
        for keeps_names in (False, True):
            files = disk.survivors(keeps_names=keeps_names)
            left[tuple(sorted(files.items()))] = durable

    disk = Disk(tmp_path, then=cut)
    with monkeypatch.context() as patch:
        disk.install(patch)
        for attempt in attempts:
            attempt.train()
            cut()
    for files, durable in left.items():
        check_left(dict(files), durable=durable)
    assert len(left) > 50


def check_left(files: dict[str, bytes], *, durable: int) -> None:
    """Goes on from what a power cut left."""
    store = MemoryStore()
    for name, data in files.items():
        store.write(name.removeprefix("run/"), data, if_generation=0)
    check_invariants(store)
    rerun = Attempt(store, "rerun")
    assert fingerprint(rerun.train()) == END
    restored = rerun.restored.state.position.global_step if rerun.restored else 0
    assert restored >= durable, "a save that had returned was lost"


def test_what_was_not_forced_to_disk_does_not_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path)
    with monkeypatch.context() as patch:
        disk.install(patch)
        FileStore(tmp_path).write("ckpt/a", b"1", if_generation=0)
        (tmp_path / "b").write_bytes(b"2")
        (tmp_path / "ckpt/c").mkdir()
    assert disk.survivors(keeps_names=False) == {"ckpt/a": b"1"}
    assert disk.survivors(keeps_names=True) == {"ckpt/a": b"1", "b": b""}
