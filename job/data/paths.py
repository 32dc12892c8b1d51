"""Where data files may lie: below `data.root`, links followed, nowhere else.

Opens nothing; `sources` does. One use::

    root = data_root(section.root, folder=folder)
    path = data_file(section.train, key="data.train", root=root)
"""

import re
import stat
from pathlib import Path

from job.errors import ConfigError, DataError, PermissionDeniedError

_URI = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def data_root(value: str | None, *, folder: Path) -> Path:
    """The folder that data paths are relative to, links resolved.

    Args:
        value: `data.root`; None is the folder of the configuration file.
        folder: Absolute folder of the configuration file; a relative `value` starts there.

    Raises:
        ConfigError: `value` is a URI.
        DataError: There is no such folder.
        PermissionDeniedError: The folder may not be looked at.
    """
    if value is not None:
        _refuse_uri(value, key="data.root")
    root = _resolve(folder / (value or "."), key="data.root", value=value or str(folder))
    if not stat.S_ISDIR(_mode(root, key="data.root", value=value or str(folder), root=folder)):
        raise DataError(
            f"data.root: {value!r} is not a folder ({root}). Give the folder that holds the "
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
    path, mode = _below(value, key=key, root=root)
    if stat.S_ISDIR(mode):
        raise DataError(
            f"{key}: {value!r} is a folder ({path}), not a pair file. Give the path of one "
            ".csv, .tsv or .jsonl file, plain or .gz."
        )
    if not stat.S_ISREG(mode):
        raise DataError(
            f"{key}: {value!r} is a pipe, a socket or a device ({path}), not a regular file. "
            "Write the pairs to a file and give its path."
        )
    return path


def data_folder(value: str, *, key: str, root: Path) -> Path:
    """The folder that a data path means, links resolved; see `data_file`."""
    path, mode = _below(value, key=key, root=root)
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"{key}: {value!r} is no folder ({path}), and by its name no .csv, .tsv, .jsonl or "
            ".npz file. Give one of these, or a folder that holds a folder for each class."
        )
    return path


def _below(value: str, *, key: str, root: Path) -> tuple[Path, int]:
    """Where a data path leads, and the mode of what is there."""
    _refuse_uri(value, key=key)
    path = _resolve(root / value, key=key, value=value)
    if not path.is_relative_to(root):
        raise ConfigError(
            f"{key}: {value!r} leads to {path}, which is outside data.root ({root}). A data "
            "path may not leave data.root: move the file below it, or set data.root to a "
            "folder that holds every data file."
        )
    return path, _mode(path, key=key, value=value, root=root)


def _refuse_uri(value: str, *, key: str) -> None:
    match = _URI.match(value)
    if not match:
        return
    supported = "not supported yet" if match[1].lower() == "gs" else "not supported"
    raise ConfigError(
        f"{key}: {value!r}: {match[1]}:// is {supported}. Data is read from local files: copy "
        "it below data.root and give its path."
    )


def _resolve(path: Path, *, key: str, value: str) -> Path:
    try:
        return path.resolve()
    except PermissionError as error:
        raise PermissionDeniedError(_denied(key, value, path)) from error
    # RuntimeError: links in a circle; ValueError: a NUL character in the path.
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{key}: {value!r} cannot be followed to a file ({error}). Give the path of a pair "
            "file, relative to data.root."
        ) from error


def _mode(path: Path, *, key: str, value: str, root: Path) -> int:
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise PermissionDeniedError(_denied(key, value, path)) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{key}: no such file or folder: {value!r} (looked in {root}). Give a path "
            "relative to data.root (unless it is set, the folder of the configuration file)."
        ) from error
    except OSError as error:
        raise DataError(
            f"{key}: {value!r} cannot be looked at ({error}). Give the path of a pair file, "
            "relative to data.root."
        ) from error


def _denied(key: str, value: str, path: Path) -> str:
    return (
        f"{key}: {value!r} may not be read ({path}: permission denied). Give this user read "
        "access to the file and to every folder above it."
    )
