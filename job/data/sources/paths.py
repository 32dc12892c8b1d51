"""Where data files may lie: below `data.root`, links followed, nowhere else.

Opens nothing; readers do. On this machine and in a bucket::

    root = data_root(section.root, folder=folder)
    path = data_file(section.train, key="data.train", root=root)
    name = object_name(section.train, key="data.train", root="gs://sets/faces")

What a row of a file names is looked up without an exception, since it spoils that row alone::

    found = find_file("images/7.png", key="data.train", root=root)
"""

import posixpath
import re
import stat
from pathlib import Path

from job.config.uris import is_in_bucket
from job.errors import DataError, PermissionDeniedError
from job.storage.mirror import FileProblem
from job.storage.object_store import checked_name

_URI = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_FOLLOW = "Give the path of a file, relative to data.root."


class _ProblemError(Exception):
    """Carries a `FileProblem` up."""

    def __init__(self, problem: FileProblem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def local_path(value: str, *, key: str) -> str:
    """A path of this machine that is not held to `data.root`.

    Raises:
        ConfigError: It is a URI.
    """
    try:
        _refuse_uri(value)
    except _ProblemError as error:
        raise error.problem.error(key) from None
    return value


def data_root(value: str | None, *, folder: Path) -> Path:
    """The folder of this machine that data paths are relative to, links resolved.

    Args:
        value: `data.root`; None is the folder of the configuration file.
        folder: Absolute folder of the configuration file; a relative `value` starts there.

    Raises:
        ConfigError: `value` is a URI of an unknown kind.
        DataError: There is no such folder.
        PermissionDeniedError: The folder may not be looked at.
    """
    shown = value or str(folder)
    try:
        _refuse_uri(shown)
        root = _resolve(folder / (value or "."), key="data.root", value=shown)
        mode = _mode(root, key="data.root", value=shown, root=folder)
    except _ProblemError as error:
        raise error.problem.error("data.root") from error.__cause__
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"data.root: {shown!r} is not a folder ({root}). Give the folder that holds the "
            "data files, or leave data.root out to use the folder of the configuration file."
        )
    return root


def data_file(value: str, *, key: str, root: Path) -> Path:
    """The regular file that a data path means, links resolved.

    Args:
        value: The path as the configuration gives it.
        key: Dotted key it was given under, for messages.
        root: What `data_root` returned.

    Raises:
        ConfigError: `value` is a URI, or leaves `root` (by `..`, as an absolute path, or
            through a link).
        DataError: There is no such file, or it is a folder, a pipe or a device.
        PermissionDeniedError: A folder on the way may not be entered.
    """
    found = find_file(value, key=key, root=root)
    if isinstance(found, FileProblem):
        raise found.error(key)
    return found


def data_folder(value: str, *, key: str, root: Path) -> Path:
    """The folder that a data path means, links resolved; else as `data_file`.

    Raises:
        ConfigError: `value` is a URI, or leaves `root`.
        DataError: There is no such folder, or it is none.
        PermissionDeniedError: A folder on the way may not be entered.
    """
    try:
        path, mode = _inside(value, key=key, root=root)
    except _ProblemError as error:
        raise error.problem.error(key) from error.__cause__
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"{key}: {value!r} is a file ({path}), and by its name no .csv, .tsv, .jsonl or "
            ".npz file. Give one of these, or a folder that holds a folder for each class."
        )
    return path


def find_file(value: str, *, key: str, root: Path) -> Path | FileProblem:
    """As `data_file`, but says what is wrong with the path instead of raising it.

    Raises:
        PermissionDeniedError: A folder on the way may not be entered.
    """
    try:
        path, mode = _inside(value, key=key, root=root)
    except _ProblemError as error:
        return error.problem
    if stat.S_ISDIR(mode):
        return FileProblem(
            "missing",
            f"{value!r} is a folder ({path}), not a file",
            "Give the path of one file, such as a .csv, .tsv or .jsonl file, plain or .gz.",
        )
    if not stat.S_ISREG(mode):
        return FileProblem(
            "missing",
            f"{value!r} is a pipe, a socket or a device ({path}), not a regular file",
            "Write the data to a file and give its path.",
        )
    return path


def object_name(value: str, *, root: str) -> str | FileProblem:
    """The name below `root` that a data path means.

    Args:
        value: The path as the configuration, or a row of a file, gives it: relative to `root`,
            or beginning with it.
        root: `gs://bucket/prefix`.

    Returns:
        Segments between slashes, none of them `.` or `..`; "" for the root itself.
    """
    root = root.rstrip("/")
    rest = value
    if is_in_bucket(value):
        if value != root and not value.startswith(f"{root}/"):
            return _outside(value, value, root)
        rest = value[len(root) + 1 :]
    else:
        try:
            _refuse_uri(value)
        except _ProblemError as error:
            return error.problem
    name = posixpath.normpath(rest)
    if name.startswith("/") or name == ".." or name.startswith("../"):
        return _outside(value, name if name.startswith("/") else f"{root}/{name}", root)
    if name == ".":
        return ""
    try:
        return checked_name(name)
    except ValueError as error:
        return FileProblem("missing", f"{value!r} names no object ({error})", _FOLLOW)


def _inside(value: str, *, key: str, root: Path) -> tuple[Path, int]:
    """What a path means below `root`, and its mode."""
    if is_in_bucket(value):
        raise _ProblemError(_outside(value, "a bucket", str(root)))
    _refuse_uri(value)
    path = _resolve(root / value, key=key, value=value)
    if not path.is_relative_to(root):
        raise _ProblemError(_outside(value, str(path), str(root)))
    return path, _mode(path, key=key, value=value, root=root)


def _outside(value: str, place: str, root: str) -> FileProblem:
    return FileProblem(
        "outside",
        f"{value!r} leads to {place}, which is outside data.root ({root})",
        "A data path may not leave data.root: move the file below it, or set data.root to a "
        "folder that holds every data file.",
    )


def _refuse_uri(value: str) -> None:
    match = _URI.match(value)
    if match:
        problem = FileProblem(
            "outside",
            f"{value!r}: {match[1]}:// is not supported",
            "Data is kept in files of this machine or in gs://bucket/prefix: give the path of "
            "one of these.",
        )
        raise _ProblemError(problem)


def _resolve(path: Path, *, key: str, value: str) -> Path:
    try:
        return path.resolve()
    except PermissionError as error:
        raise PermissionDeniedError(_denied(key, value, path)) from error
    # RuntimeError: links in a circle; ValueError: a NUL character in the path.
    except (OSError, RuntimeError, ValueError) as error:
        detail = f"{value!r} cannot be followed to a file ({error})"
        raise _ProblemError(FileProblem("missing", detail, _FOLLOW)) from error


def _mode(path: Path, *, key: str, value: str, root: Path) -> int:
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise PermissionDeniedError(_denied(key, value, path)) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        problem = FileProblem(
            "missing",
            f"no such file or folder: {value!r} (looked in {root})",
            "Give a path relative to data.root (unless it is set, the folder of the "
            "configuration file).",
        )
        raise _ProblemError(problem) from error
    except OSError as error:
        detail = f"{value!r} cannot be looked at ({error})"
        raise _ProblemError(FileProblem("missing", detail, _FOLLOW)) from error


def _denied(key: str, value: str, path: Path) -> str:
    return (
        f"{key}: {value!r} may not be read ({path}: permission denied). Give this user read "
        "access to the file and to every folder above it."
    )
