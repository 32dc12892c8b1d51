"""`siamese-job data pack CONFIG OUT`: writes the data as a folder of memory-mapped arrays.

The data is loaded as for training and written to OUT, a folder or `gs://bucket/prefix`.
`--set data.packed=OUT` opens that instead of reading the files.
"""

import argparse
import os
import shlex
from pathlib import Path

from job.commands.shared import logs_on_stderr, print_result
from job.config.loader.load_config import LoadedConfig, load_config
from job.config.names import names_of
from job.config.uris import is_in_bucket
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.data.packed.pack import (
    OUT,
    open_place,
    require_free_folder,
    require_free_prefix,
    upload_pack,
    write_pack,
)
from job.data.sources.paths import local_path
from job.errors import ConfigError, ExitCode
from job.run.read_data import data_access
from job.storage.parallel import ParallelDownloader
from job.storage.temporary import temporary_folder
from job.types import SPLITS


def run(args: argparse.Namespace) -> ExitCode:
    """Runs `data pack`."""
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    access = data_access(loaded.config, env=os.environ)
    with logs_on_stderr(loaded.config, level="WARNING"):
        pack = _pack_into_bucket if is_in_bucket(args.out) else _pack_into_folder
        shown = pack(loaded, args.out, access=access, force=args.force)
    return print_result(shown)


def screen(dataset: Dataset, folder: Path, *, out: str) -> str:
    """What was packed into a folder, as lines for the terminal."""
    pairs = [f"{split} {dataset.counts[split].pairs:,}" for split in SPLITS]
    sizes = [path.stat().st_size for path in folder.iterdir()]
    lines = [
        f"packed {len(dataset.items):,} items of kind {dataset.kind} into {out}",
        f"pairs: {', '.join(pairs)}",
        f"files: {len(sizes)}, {sum(sizes):,} bytes",
        f"fingerprint: {dataset.fingerprint}",
        f"use it with: --set {shlex.quote(f'data.packed={out}')}",
    ]
    return "\n".join(lines) + "\n"


def _pack_into_folder(
    loaded: LoadedConfig, out: str, *, access: ParallelDownloader, force: bool
) -> str:
    # Not `Path.resolve`, which raises a RuntimeError for a loop of links.
    folder = Path(os.path.realpath(local_path(out, key=OUT)))
    # Before the data is read, which may take long.
    _require_outside_sources(loaded, folder)
    require_free_folder(folder, force=force)
    dataset = _packed(loaded, folder, access=access, force=force, key=OUT)
    return screen(dataset, folder, out=str(folder))


def _pack_into_bucket(
    loaded: LoadedConfig, out: str, *, access: ParallelDownloader, force: bool
) -> str:
    store = open_place(out, access=access)
    _require_outside_sources(loaded, store.uri)
    require_free_prefix(store, force=force)
    with temporary_folder("siamese-pack-") as scratch:
        folder = scratch / "packed"
        dataset = _packed(loaded, folder, access=access, force=False, key="TMPDIR")
        upload_pack(folder, store=store, access=access, force=force)
        return screen(dataset, folder, out=store.uri)


def _packed(
    loaded: LoadedConfig, folder: Path, *, access: ParallelDownloader, force: bool, key: str
) -> Dataset:
    """Reads the files, even if the configuration names a packed set, and packs them."""
    seed = loaded.config.run.seed
    section = loaded.config.data.model_copy(update={"packed": None})
    dataset = load_dataset(section, folder=loaded.folder, seed=seed, access=access)
    data = section.model_dump(mode="json")
    write_pack(dataset, folder=folder, data=data, seed=seed, force=force, key=key)
    return dataset


def _require_outside_sources(loaded: LoadedConfig, out: Path | str) -> None:
    """Refuses a place in a class folder, where the next run would read it as data.

    Any other place below `data.root` is allowed.
    """
    data = loaded.config.data
    for key in ("train", "validation", "test"):
        for value in names_of(getattr(data, key) or ()):
            if isinstance(out, Path):
                source = os.path.realpath(loaded.folder / (data.root or ".") / value)
                is_inside = os.path.isdir(source) and out.is_relative_to(source)
            else:
                root = data.root if data.root is not None and is_in_bucket(data.root) else ""
                source = value if is_in_bucket(value) else f"{root.rstrip('/')}/{value}"
                is_inside = f"{out}/".startswith(f"{source.rstrip('/')}/")
            if is_inside:
                raise ConfigError(
                    f"{OUT}: '{out}' is in the folder that data.{key} names ({value!r}), and "
                    "would be read as data by the next run. Give a place outside it."
                )
