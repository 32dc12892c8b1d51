"""Where packed data sets lie: in folders of this machine and in buckets.

In a bucket a set is the same files as in a folder. They go up in parallel, `dataset.json`
last, and come down through the mirror::

    upload_pack(folder, uri="gs://sets/pairs", access=access, force=False)
    dataset = open_packed(section, folder=folder, seed=0, access=access)
"""

from pathlib import Path

from job.config.data import DataConfig
from job.data.dataset import Dataset
from job.data.packed.manifest import FILE_NAMES, RECORD_NAME
from job.data.packed.pack import open_pack, read_record, require_made_from
from job.data.sources.paths import is_in_bucket, local_path
from job.errors import ConfigError, DataError
from job.storage.mirror import FileProblem, open_mirror
from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
)
from job.storage.os_errors import PACKS
from job.storage.parallel import ParallelDownloader

KEY = "data.packed"
OUT = "OUT"


def open_packed(
    section: DataConfig, *, folder: Path, seed: int, access: ParallelDownloader | None = None
) -> Dataset:
    """Opens the set that `data.packed` names.

    Args:
        section: The data section, with `packed`.
        folder: Absolute folder of the configuration file.
        seed: `run.seed`.
        access: How a bucket is reached; None: with the defaults.

    Raises:
        ConfigError: It was made from other settings, or is named by an unknown kind of URI.
        DataError: It is missing, half there, damaged, or of another version.
        PermissionDeniedError: It may not be read.
        JobError: A bucket or the mirror fails, as `Mirror.fetch` says.
    """
    packed = section.packed
    if packed is None:
        raise ValueError("data.packed is null")
    data = section.model_dump(mode="json")
    if is_in_bucket(packed):
        mirror = open_mirror(
            packed, folder=section.mirror, access=access or ParallelDownloader(), key=KEY
        )
        found = mirror.fetch([RECORD_NAME])[RECORD_NAME]
        if isinstance(found, FileProblem):
            raise DataError(
                f"{KEY}: '{packed}' holds no {RECORD_NAME}, which is written last: there is no "
                "packed data set, or only a part of one. Make it with `siamese-job data pack "
                f"CONFIG '{packed}'`, or copy it again."
            )
        # What cannot be used is refused before all of it is copied.
        record = read_record(mirror.folder, key=KEY)
        require_made_from(record, data=data, seed=seed, place=f"{KEY}: '{packed}'")
        mirror.fetch(f"{name}.npy" for name in record.files)
        return open_pack(mirror.folder, data=data, seed=seed, key=KEY)
    return open_pack(folder / local_path(packed, key=KEY), data=data, seed=seed, key=KEY)


def require_free_place(store: ObjectStore, *, force: bool) -> dict[str, ListedObject]:
    """Refuses a place in a bucket that holds what must not be lost.

    Args:
        store: The place.
        force: Whether a packed set that is there may be replaced.

    Returns:
        What is there of a packed set, whole or not, by name.

    Raises:
        ConfigError: The place holds a packed set and `force` is off, or something else.
        JobError: The bucket fails.
    """
    found = {one.name: one for one in store.list("")}
    others = sorted(found.keys() - FILE_NAMES)
    if others:
        raise ConfigError(
            f"{OUT}: {store.uri} holds other objects than a packed data set ({others[0]!r} is "
            "one), which are not replaced. Give a prefix that is empty."
        )
    if RECORD_NAME in found and not force:
        raise ConfigError(
            f"{OUT}: {store.uri} holds a packed data set already. Give another prefix, or "
            "--force to replace it."
        )
    return found


def upload_pack(
    folder: Path, *, store: ObjectStore, access: ParallelDownloader, force: bool
) -> None:
    """Writes a packed set of this machine into a bucket.

    Whoever dies on the way leaves a place without `dataset.json`, which is refused, and which
    the next call takes.

    Args:
        folder: What `write_pack` wrote.
        store: The place.
        access: When to stop.
        force: Whether a packed set that is there is replaced.

    Raises:
        ConfigError: As `require_free_place` says, or another process packs into it.
        JobError: The bucket fails.
    """
    before = require_free_place(store, force=force)
    names = sorted(path.name for path in folder.iterdir() if path.name != RECORD_NAME)

    def send(name: str) -> ObjectStat:
        return store.write_file(name, folder / name, if_generation=None)

    try:
        # The record first: without it, what is there is no packed set to anybody.
        for name in sorted(before.keys() - names, key=lambda name: name != RECORD_NAME):
            store.delete(name, if_generation=before[name].generation)
        for _ in access.in_parallel(send, names):
            pass
        store.write_file(RECORD_NAME, folder / RECORD_NAME, if_generation=0)
    except (ObjectMissingError, PreconditionFailedError) as error:
        raise ConfigError(
            f"{OUT}: another process packs into {store.uri} as well. Let one do it at a time, "
            "and pack again with --force."
        ) from error


def open_place(uri: str, *, access: ParallelDownloader) -> ObjectStore:
    """The place in a bucket that a packed set is to go to; nothing is asked of it yet.

    Raises:
        ConfigError: The URI names no bucket or no prefix in it.
    """
    if not uri.removeprefix("gs://").strip("/").partition("/")[2]:
        raise ConfigError(
            f"{OUT}: '{uri}' is a bucket. A packed data set needs a place of its own: give "
            "gs://bucket/prefix."
        )
    return access.open(uri, key=OUT, purpose=PACKS)
