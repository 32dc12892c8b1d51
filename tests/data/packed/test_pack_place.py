"""Where a packed set is put, and what is there when the process dies on the way."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from job.data.dataset import Dataset
from job.data.packed import pack as pack_module
from job.errors import ConfigError, DataError, DiskFullError, PermissionDeniedError
from tests.data.packed.some_packs import (
    Calls,
    Crash,
    assert_same,
    counted,
    crash,
    dataset_of,
    opened,
    pack,
)


def test_what_is_there_is_not_replaced_unasked(packed):
    other = dataset_of(seed=1)
    with pytest.raises(ConfigError, match=r"already contains a packed data set.*--force"):
        pack(other, packed)
    assert_same(opened(packed), dataset_of())
    pack(other, packed, force=True)
    assert_same(opened(packed), other)
    assert list(packed.parent.iterdir()) == [packed]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_other_things_is_never_touched(tmp_path, force):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"contains files .*'thesis\.tex'"):
        pack(dataset_of(), tmp_path / "out", force=force)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.tex"]


def test_an_empty_folder_and_a_new_one_are_places(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty2")
    for name in ("empty", "a/b/new", "link"):
        pack(dataset_of(), tmp_path / name)
        assert_same(opened(tmp_path / name), dataset_of())
    assert (tmp_path / "empty2").is_dir()


@pytest.mark.parametrize(
    ("name", "words"), [("file", "must be a folder"), ("file/x", "cannot write")]
)
def test_a_file_is_no_place(tmp_path, name, words):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=words):
        pack(dataset_of(), tmp_path / name)
    assert (tmp_path / "file").read_text() == "x"


def test_the_root_of_the_system_is_no_place():
    with pytest.raises(ConfigError, match="cannot be replaced"):
        pack(dataset_of(), Path("/"))


@pytest.mark.parametrize(
    ("moment", "words"),
    [("_write_array", "already contains"), ("_rename", "another process packed into")],
)
def test_the_set_of_a_faster_process_is_kept(tmp_path, monkeypatch, moment, words):
    faster, real = dataset_of(seed=1), getattr(pack_module, moment)

    def late(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        pack(faster, tmp_path / "out")
        return real(*args, **options)

    monkeypatch.setattr(pack_module, moment, late)
    with pytest.raises(ConfigError, match=words):
        pack(dataset_of(), tmp_path / "out")
    assert_same(opened(tmp_path / "out"), faster)
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_place_that_may_not_be_written_is_permission_denied(open_folder, unprivileged):
    with unprivileged(), pytest.raises(PermissionDeniedError, match=r"\(OUT\)"):
        pack(dataset_of(), open_folder / "out")
    assert list(open_folder.iterdir()) == []


def num_calls(tmp_path: Path, *, force: bool) -> int:
    folder = tmp_path / "dry"
    if force:
        pack(dataset_of(), folder)
    with counted(Calls(at=None, what=crash)) as calls:
        pack(dataset_of(seed=1), folder, force=force)
    return len(calls.made)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_a_crash_anywhere_leaves_the_old_set_the_new_one_or_a_clear_refusal(
    tmp_path, force, after
):
    old, new = dataset_of(), dataset_of(seed=1)
    total = num_calls(tmp_path, force=force)
    seen = []
    for at in range(1, total + 1):
        folder = tmp_path / f"{at}" / "out"
        folder.parent.mkdir()
        if force:
            pack(old, folder)
        with counted(Calls(at=at, what=crash, after=after)), pytest.raises(Crash):
            pack(new, folder, force=force)
        seen.append(state(folder, old=old, new=new))
        if seen[-1] == "none" and force:
            [work] = folder.parent.iterdir()
            with pytest.raises(DataError, match=re.escape(str(work))):
                opened(folder)
            assert_same(opened(work / "replaced"), old)
        if seen[-1] != "new":
            # The same command again.
            pack(new, folder, force=force)
            assert list(folder.parent.iterdir()) == [folder]
        assert_same(opened(folder), new)
    if force:
        # There is one moment without either: between two renames.
        assert seen == sorted(seen, key=["old", "none", "new"].index)
        assert seen.count("none") == 1
    else:
        assert seen == sorted(seen, key=["none", "new"].index)
    assert seen.count("new") >= 2


def state(folder: Path, *, old: Dataset, new: Dataset) -> str:
    """Which set a folder holds; "none" where opening it is refused."""
    try:
        found = opened(folder)
    except DataError:
        return "none"
    is_new = found.fingerprint == new.fingerprint
    assert_same(found, new if is_new else old)
    return "new" if is_new else "old"


def test_everything_is_on_disk_before_it_takes_its_name(tmp_path):
    with counted(Calls(at=None, what=crash)) as calls:
        pack(dataset_of(), tmp_path / "out")
    num_files = len(list((tmp_path / "out").iterdir()))
    at = calls.made.index("rename")
    # Each file, and the names in the folder; then the new name.
    assert calls.made[:at].count("fsync") == num_files + 1
    assert calls.made[at - 1] == "fsync"
    assert calls.made[at : at + 3] == ["rename", "open", "fsync"]


def test_a_half_written_set_is_refused_and_the_same_command_repairs_it(tmp_path):
    folder = tmp_path / "out"
    with counted(Calls(at=8, what=crash)), pytest.raises(Crash):
        pack(dataset_of(), folder)
    [work] = tmp_path.iterdir()
    with pytest.raises(DataError) as caught:
        opened(folder)
    assert caught.value.exit_code == 3
    for words in (str(work), "An interrupted `siamese-job data pack` left", "Run `siamese-job"):
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"contains no dataset\.json, which is written last"):
        opened(work / "new")
    pack(dataset_of(), folder)
    assert_same(opened(folder), dataset_of())


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_anywhere_leaves_everything_as_it_was(tmp_path, force, number):
    def full() -> None:
        raise OSError(number, os.strerror(number))

    old, new = dataset_of(), dataset_of(seed=1)
    total = num_calls(tmp_path, force=force)
    left = {"out"} if force else set()
    for at in range(1, total + 1):
        folder = tmp_path / f"{at}" / "out"
        folder.parent.mkdir()
        if force:
            pack(old, folder)
        message = ""
        with counted(Calls(at=at, what=full)) as calls:
            try:
                pack(new, folder, force=force)
            except DiskFullError as error:
                message = str(error)
        found = state(folder, old=old, new=new)
        if found == "new":  # making it durable and the clean-up follow the last rename
            assert calls.made[:at].count("rename") == (2 if force else 1)
        else:
            assert re.search(r"\d+ bytes are needed .*\(OUT\)", message)
            assert found == ("old" if force else "none")
            assert {path.name for path in folder.parent.iterdir()} == left


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_process_cleans_up_behind_itself(tmp_path, error):
    def interrupt() -> None:
        raise error

    with counted(Calls(at=8, what=interrupt)), pytest.raises(error):
        pack(dataset_of(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
