from pathlib import Path

import pytest

from job.errors import ConfigError
from job.storage.file import FileStore
from job.storage.memory import MemoryStore
from job.storage.open import open_store


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("runs/a", "{cwd}/runs/a"),
        ("{cwd}/runs/a", "{cwd}/runs/a"),
        ("file://{cwd}/runs", "{cwd}/runs"),
        ("file://localhost{cwd}/runs", "{cwd}/runs"),
        ("file://{cwd}/a%20b", "{cwd}/a b"),
        ("a b", "{cwd}/a b"),
        ("c:d", "{cwd}/c:d"),
    ],
)
def test_folder_or_file_uri_opens_a_folder_without_making_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(given.format(cwd=tmp_path))
    assert isinstance(store, FileStore)
    assert store.uri == Path(folder.format(cwd=tmp_path)).as_uri()
    assert list(tmp_path.iterdir()) == []
    # What a store calls itself opens the same one again.
    assert open_store(store.uri).uri == store.uri


def test_memory_uri_opens_a_new_store_each_time() -> None:
    first = open_store("memory://")
    assert isinstance(first, MemoryStore)
    first.write("a", b"", if_generation=0)
    assert open_store("memory://").list("") == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("gs://bucket/runs", "buckets are not built in yet"),
        ("s3://bucket/runs", "cannot be opened"),
        ("http://host/runs", "cannot be opened"),
        ("file://server/share", "cannot be opened"),
        ("file://", "cannot be opened"),
        ("://", "cannot be opened"),
    ],
)
def test_other_uri_is_refused_with_what_is_allowed(given: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        open_store(given)
    assert f"run.root: '{given}'" in str(caught.value)
    assert "folder" in str(caught.value)
