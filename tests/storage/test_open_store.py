import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from job.errors import ConfigError
from job.storage.gcs.store import GsStore
from job.storage.local import FileStore
from job.storage.open_store import below, local_folder, open_store
from job.storage.os_errors import RUNS
from tests.fakes.gcs_server import FakeGcs

REPOSITORY = Path(__file__).parents[2]
VARIABLE = "STORAGE_EMULATOR_HOST"


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


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("gs://", "names no bucket"),
        ("gs://B/runs", "names no bucket"),
        ("gs://bucket/a//b", "prefix no object can have"),
        ("s3://bucket/runs", "cannot be opened"),
        ("http://host/runs", "cannot be opened"),
        ("file://server/share", "cannot be opened"),
        ("file://", "cannot be opened"),
        ("file:///runs?typos", "cannot be opened"),
        ("file:///runs#typos", "cannot be opened"),
        ("file:/runs", "cannot be opened"),
        ("file:runs", "cannot be opened"),
        ("gs:/bucket/runs", "cannot be opened"),
        ("memory:/runs", "cannot be opened"),
        ("memory:", "cannot be opened"),
        ("memory://", "cannot be opened"),
        ("memory://runs", "cannot be opened"),
        ("memory:///runs", "cannot be opened"),
        ("://", "cannot be opened"),
    ],
)
def test_other_uri_is_refused_with_what_is_allowed(given: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        open_store(given)
    assert f"run.root: '{given}'" in str(caught.value)
    with pytest.raises(ConfigError, match=f"^ROOT: '{re.escape(given)}'"):
        open_store(given, purpose=RUNS.at("ROOT"))
    assert "gs://bucket/prefix" in str(caught.value) or "segments" in str(caught.value)


@pytest.mark.parametrize("env", [{}, {VARIABLE: ""}, {"PATH": "/"}])
@pytest.mark.parametrize("allow_emulator", [False, True])
def test_bucket_is_the_real_one_unless_the_environment_names_another(
    env: Mapping[str, str], allow_emulator: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store("gs://bucket/runs/a", allow_emulator=allow_emulator, env=env)
    assert isinstance(store, GsStore)
    assert store.uri == "gs://bucket/runs/a"
    assert caplog.records == []


def test_emulator_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"run\.allow_emulator") as caught:
        open_store("gs://bucket/runs/a", env={VARIABLE: "http://127.0.0.1:1"})
    assert f"Unset {VARIABLE}" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("cut", ["", "http://"])
def test_emulator_that_is_allowed_is_used_and_said_once(
    gcs: FakeGcs, caplog: pytest.LogCaptureFixture, cut: str
) -> None:
    env = {VARIABLE: gcs.url.removeprefix(cut) + "/"}
    store = open_store("gs://runs/a", allow_emulator=True, env=env)
    assert isinstance(store, GsStore)
    store.write("b", b"1", if_generation=0)
    store.close()
    assert list(gcs.bucket.objects) == ["a/b"]
    [line] = [one for one in caplog.records if one.name.startswith("job.")]
    assert (line.message, line.host) == ("bucket emulator in use", gcs.url)


def test_emulator_does_not_matter_to_a_folder(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), env={VARIABLE: "http://127.0.0.1:1"})
    assert isinstance(store, FileStore)


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("runs/a", Path("runs/a")),
        ("/runs", Path("/runs")),
        ("file:///runs/a%20b", Path("/runs/a b")),
        ("file://localhost/runs", Path("/runs")),
        ("file:///", Path("/")),
        ("gs://bucket/runs", None),
    ],
)
def test_folder_on_this_machine_is_told_from_everything_else(
    uri: str, folder: Path | None
) -> None:
    assert local_folder(uri) == folder


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("runs", "runs/typos"),
        ("runs/", "runs/typos"),
        ("/", "/typos"),
        ("/data/runs//", "/data/runs/typos"),
        ("file:///", "file:///typos"),
        ("file:///data/", "file:///data/typos"),
        ("file://localhost/", "file://localhost/typos"),
        ("gs://bucket", "gs://bucket/typos"),
        ("gs://bucket/", "gs://bucket/typos"),
        ("gs://bucket/team/runs/", "gs://bucket/team/runs/typos"),
    ],
)
def test_run_is_below_its_root_whatever_the_root_ends_with(root: str, uri: str) -> None:
    assert below(root, "typos") == uri
    open_store(uri)


@pytest.mark.parametrize("root", ["memory://", "memory://runs", "file://", "file:", "gs:"])
def test_root_that_holds_no_runs_is_refused_and_not_taken_for_a_folder(root: str) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_store(below(root, "typos"))


def test_the_client_of_buckets_is_loaded_for_a_bucket_only() -> None:
    script = (
        "import sys; from job.storage.open_store import open_store; open_store('runs');"
        "assert not [m for m in sys.modules if m.startswith(('google.cloud', 'requests'))];"
        "open_store('gs://bucket/a'); assert 'google.cloud.storage' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=60)
