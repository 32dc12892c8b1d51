"""Writes a packed data set into a bucket: the arrays in parallel, `dataset.json` last.

::

    store = open_place("gs://sets/pairs", access=access)
    upload_pack(folder, store=store, access=access, force=False)
"""

from pathlib import Path

from job.config.uris import has_prefix
from job.data.packed.manifest import FILE_NAMES, RECORD_NAME
from job.errors import ConfigError
from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
)
from job.storage.os_errors import PACKS
from job.storage.parallel import ParallelDownloader

OUT = "OUT"


def open_place(uri: str, *, access: ParallelDownloader) -> ObjectStore:
    """The store that a packed set is to be written to; sends no request.

    Raises:
        ConfigError: The URI names no bucket, or a bucket without a prefix.
    """
    if not has_prefix(uri):
        raise ConfigError(
            f"{OUT}: '{uri}' is a bucket. A packed data set needs a prefix of its own, as in "
            f"'{uri.rstrip('/')}/pairs'."
        )
    return access.open(uri, key=OUT, purpose=PACKS)


def require_free_place(store: ObjectStore, *, force: bool) -> dict[str, ListedObject]:
    """Refuses a prefix with objects that must not be lost.

    Args:
        store: The prefix.
        force: Whether an existing packed set may be replaced.

    Returns:
        The objects of a packed set, complete or not, by name.

    Raises:
        ConfigError: The prefix contains a packed set and `force` is off, or other objects.
        JobError: The bucket fails.
    """
    found = {one.name: one for one in store.list("")}
    others = sorted(found.keys() - FILE_NAMES)
    if others:
        raise ConfigError(
            f"{OUT}: {store.uri} contains objects that are not part of a packed data set, such "
            f"as {others[0]!r}, and is not replaced. Give an empty prefix."
        )
    if RECORD_NAME in found and not force:
        raise ConfigError(
            f"{OUT}: {store.uri} already contains a packed data set. Give another prefix, or "
            "--force to replace it."
        )
    return found


def upload_pack(
    folder: Path, *, store: ObjectStore, access: ParallelDownloader, force: bool
) -> None:
    """Writes a packed set of this machine into a bucket.

    A killed process leaves a prefix without `dataset.json`, which cannot be opened and which
    the next call overwrites.

    Args:
        folder: A folder that `write_pack` wrote.
        store: The prefix.
        access: When to stop.
        force: Whether to replace an existing packed set.

    Raises:
        ConfigError: See `require_free_place`; or another process packs into it.
        JobError: The bucket fails.
    """
    before = require_free_place(store, force=force)
    names = sorted(path.name for path in folder.iterdir() if path.name != RECORD_NAME)

    def send(name: str) -> ObjectStat:
        return store.write_file(name, folder / name, if_generation=None)

    try:
        # The record first: without it nobody opens what is there.
        for name in sorted(before.keys() - names, key=lambda name: name != RECORD_NAME):
            store.delete(name, if_generation=before[name].generation)
        for _ in access.in_parallel(send, names):
            pass
        store.write_file(RECORD_NAME, folder / RECORD_NAME, if_generation=0)
    except (ObjectMissingError, PreconditionFailedError) as error:
        raise ConfigError(
            f"{OUT}: another process is packing into {store.uri}. Pack again with --force once "
            "it has ended."
        ) from error
