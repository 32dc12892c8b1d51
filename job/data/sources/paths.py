"""Resolves data paths below `data.root`; nothing outside it may be read.

Opens no file. On this machine and in a bucket::

    root = data_root(section.root, folder=folder)
    path = data_file(section.train, key="data.train", root=root)
    name = object_name(section.train, root="gs://sets/faces")

A path in a row is looked up without an exception, since it rejects that row alone::

    found = find_file("images/7.png", key="data.train", root=root)
"""

import posixpath
import stat
from pathlib import Path

from job.config.uris import is_in_bucket, scheme_of
from job.errors import DataError, PermissionDeniedError
from job.storage.mirror import FileProblem
from job.storage.object_store import checked_name


def local_path(value: str, *, key: str) -> str:
    """Returns a path of this machine that need not be below `data.root`.

    Raises:
        ConfigError: It is a URI.
    """
    problem = _uri_problem(value)
    if problem:
        raise problem.error(key)
    return value


def data_root(value: str | None, *, folder: Path) -> Path:
    """Resolves the folder of this machine that data paths are relative to.

    Args:
        value: `data.root`; None is the folder of the configuration file.
        folder: Absolute folder of the configuration file; a relative `value` starts there.

    Raises:
        ConfigError: `value` is a URI.
        DataError: There is no such folder.
        PermissionDeniedError: A folder on the path may not be entered.
    """
    shown = value or str(folder)
    found = _uri_problem(shown) or _resolved(shown, key="data.root", root=folder)
    if isinstance(found, FileProblem):
        raise found.error("data.root")
    path, mode = found
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"data.root: {shown!r} is not a folder ({path}). Give the folder that holds the "
            "data files, or remove data.root to use the folder of the configuration file."
        )
    return path


def data_file(value: str, *, key: str, root: Path) -> Path:
    """Resolves a path of the configuration to a regular file.

    Args:
        value: The path as the configuration gives it.
        key: Dotted key that holds it, for messages.
        root: The result of `data_root`.

    Raises:
        ConfigError: `value` is a URI, or leaves `root` (by `..`, as an absolute path, or
            through a link).
        DataError: There is no such file, or it is a folder, a pipe or a device.
        PermissionDeniedError: A folder on the path may not be entered.
    """
    found = find_file(value, key=key, root=root)
    if isinstance(found, FileProblem):
        raise found.error(key)
    return found


def data_folder(value: str, *, key: str, root: Path) -> Path:
    """Resolves a path of the configuration to a folder; see `data_file`."""
    found = _below(value, key=key, root=root)
    if isinstance(found, FileProblem):
        raise found.error(key)
    path, mode = found
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"{key}: {value!r} is a file ({path}) of no known format. Give a .csv, .tsv, "
            ".jsonl or .npz file, or a folder that holds a folder for each class."
        )
    return path


def find_file(value: str, *, key: str, root: Path) -> Path | FileProblem:
    """Resolves a path to a regular file, or returns what is wrong with it.

    Raises:
        PermissionDeniedError: A folder on the path may not be entered.
    """
    found = _below(value, key=key, root=root)
    if isinstance(found, FileProblem):
        return found
    path, mode = found
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        return FileProblem(
            "missing",
            f"{value!r} is {what} ({path}), not a file",
            "Give the path of one regular file.",
        )
    return path


def object_name(value: str, *, root: str) -> str | FileProblem:
    """Resolves a path to the name of an object below `root`.

    Args:
        value: The path as the configuration, or a row of a file, gives it: relative to `root`,
            or a URI that begins with it.
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
    elif problem := _uri_problem(value):
        return problem
    name = posixpath.normpath(rest)
    if name.startswith("/") or name == ".." or name.startswith("../"):
        return _outside(value, name if name.startswith("/") else f"{root}/{name}", root)
    if name == ".":
        return ""
    try:
        return checked_name(name)
    except ValueError as error:
        return FileProblem(
            "missing",
            f"{value!r} names no object ({error})",
            "Give the path of a file, relative to data.root.",
        )


def _below(value: str, *, key: str, root: Path) -> tuple[Path, int] | FileProblem:
    """The resolved path below `root`, and its mode."""
    if is_in_bucket(value):
        return _outside(value, "a bucket", str(root))
    return _uri_problem(value) or _resolved(value, key=key, root=root, is_below=True)


def _resolved(
    value: str, *, key: str, root: Path, is_below: bool = False
) -> tuple[Path, int] | FileProblem:
    """The path, links resolved, and its mode; `is_below`: it may not leave `root`."""
    path = root / value
    try:
        path = path.resolve()
        if is_below and not path.is_relative_to(root):
            return _outside(value, str(path), str(root))
        return path, path.stat().st_mode
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{key}: {value!r} may not be read ({path}: permission denied). Give this user "
            "read access to the file and to every folder above it."
        ) from error
    # RuntimeError: a loop of links; ValueError: a NUL character.
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return FileProblem(
            "missing",
            f"no such file or folder: {value!r} (looked in {root}: {reason})",
            "Give a path relative to data.root, by default the folder of the configuration "
            "file.",
        )


def _outside(value: str, place: str, root: str) -> FileProblem:
    return FileProblem(
        "outside",
        f"{value!r} leads to {place}, which is outside data.root ({root})",
        "A data path may not leave data.root: move the file below it, or set data.root to a "
        "folder that holds every data file.",
    )


def _uri_problem(value: str) -> FileProblem | None:
    scheme = scheme_of(value)
    if not scheme:
        return None
    return FileProblem(
        "outside",
        f"{value!r}: {scheme} is not supported",
        "Give the path of a file on this machine, or of one in gs://bucket/prefix.",
    )
