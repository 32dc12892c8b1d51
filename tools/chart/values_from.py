"""Makes a values file of the chart from a configuration file and the data it names.

    .venv/bin/python -m tools.chart.values_from examples/text.yaml > typos.yaml
    helm install typos charts/siamese-job --values typos.yaml

So one configuration trains on a laptop and on a cluster.
"""

import argparse
import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from job.config.loader.load_config import load_config
from job.config.loader.yaml12 import read_document
from job.config.names import names_of, shown
from job.config.uris import is_in_bucket
from job.errors import DataError, JobError

KEYS = ("train", "validation", "test", "items")
TABLES = (".csv", ".tsv", ".jsonl")
# The chart's `siamese-job.isBinary` must say the same; a test compares them.
BINARY = (".gz", ".npz", ".npy", ".png", ".jpg", ".jpeg", ".zip")


def values_from(config: Path) -> dict[str, Any]:
    """Values that train what a configuration file trains.

    Args:
        config: The file; it must be valid.

    Returns:
        The values `config` and `data.files`. Paths of the data are those of the file, so the
        chart puts the data where the program looks for it; `data.root` is left out, unless it
        is in a bucket. Where a packed set is named, nothing else is read.

    Raises:
        JobError: The configuration is not valid, or a file is given as text and is none.
        OSError: A file of the data cannot be read.
    """
    loaded = load_config(config, env={}, sets=[])
    values: dict[str, Any] = read_document(config.read_bytes()).values
    data = values["data"]
    if data.get("packed") or is_in_bucket(data.get("root") or ""):
        return {"config": values, "data": {"files": {}}}
    folder = loaded.folder / (data.pop("root", None) or "")
    files = {}
    for key in KEYS:
        for path in names_of(data.get(key) or ()):
            if not is_in_bucket(path):
                files |= _contents(folder, path, key=f"data.{key}")
    return {"config": values, "data": {"files": files}}


def _contents(folder: Path, path: str, *, key: str) -> dict[str, str]:
    """A file, or the files of a folder, as `data.files` has them."""
    found = folder / path
    inside = sorted(p for p in found.rglob("*") if p.is_file()) if found.is_dir() else [found]
    contents = {}
    for file in inside:
        name = os.path.normpath(os.path.join(path, file.relative_to(found)))
        content = file.read_bytes()
        if name.lower().endswith(BINARY):
            contents[name] = base64.b64encode(content).decode()
        else:
            contents[name] = _decoded(content, key=key, path=file)
    return contents


def left_out(config: Path, values: Mapping[str, Any]) -> list[str]:
    """What the run needs and the values lack.

    These are modules of `callbacks.custom` beside the file, a packed set of this machine, and
    files that rows of the data name.

    Args:
        config: The file that `values` were made from.
        values: What `values_from` made.

    Returns:
        One line for each, with what to do.
    """
    data = values["config"]["data"]
    packed = data.get("packed")
    lines = []
    if packed and not is_in_bucket(packed):
        lines.append(
            f"data.packed: {packed} is left out. Pack into a bucket, or put it into a volume, "
            "and name that place in config.data.packed."
        )
    elif not packed and not is_in_bucket(data.get("root") or ""):
        lines += [
            f"data.{key}: the files that the rows of {shown(data[key])} name are left out. "
            "Pack the data (`siamese-job data pack`) into a bucket or a volume and name the "
            "pack in config.data.packed."
            for key in _tables_of_paths(data)
        ]
    custom = (values["config"].get("callbacks") or {}).get("custom") or []
    for index, callback in enumerate(custom):
        name = callback["target"].partition(":")[0].partition(".")[0]
        beside = [path for path in (f"{name}.py", name) if (config.parent / path).exists()]
        if beside:
            lines.append(
                f"callbacks.custom[{index}].target: {beside[0]} is left out. Add it to "
                "data.files, which lie beside the configuration, or use an image that holds "
                "it."
            )
    return lines


def _tables_of_paths(data: Mapping[str, Any]) -> list[str]:
    """Keys of the tables whose rows name files."""
    if data.get("kind", "text") == "text":
        return []
    keys = ("items",) if data.get("items") else KEYS[:3]
    # The files of a list have one format.
    first = {key: (*names_of(data.get(key) or ()), "")[0] for key in keys}
    return [
        key for key, name in first.items() if name.lower().removesuffix(".gz").endswith(TABLES)
    ]


def _decoded(content: bytes, *, key: str, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{key}: {path} is not UTF-8 text (byte {error.start} is 0x"
            f"{content[error.start]:02x}). Convert it to UTF-8."
        ) from error


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, and sequences as this project does."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    # What YAML 1.1 or 1.2 could take for a number.
    if style is None and text[:1] in "0123456789.+-~":
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def main() -> int:
    """Prints the values file; 2 with a message when it cannot be made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("config", type=Path, help="configuration file of `siamese-job train`")
    arguments = parser.parse_args()
    try:
        values = values_from(arguments.config)
    except (JobError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for line in left_out(arguments.config, values):
        sys.stderr.write(f"{line}\n")
    sys.stdout.write(yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=96))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
