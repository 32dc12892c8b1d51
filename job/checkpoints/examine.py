"""What a run directory's checkpoints contain, for commands that know no model; writes nothing.

::

    run = read_run(store)
    for entry in entries_of(run.head):
        print(entry.step, damage_of(store, entry, run=run))
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.garbage import left_behind, old_results
from job.checkpoints.layout import CHECKPOINTS, CONFIG, HEAD, RESULTS, list_dirs
from job.checkpoints.provenance import Identity
from job.checkpoints.records import BestEntry, CheckpointEntry, CommitRecord, Head
from job.checkpoints.restore import (
    read_commit,
    read_head,
    read_object,
    read_stored,
    verify_objects,
)
from job.checkpoints.serialization import META_LIMIT_BYTES
from job.checkpoints.shards import META, is_resume_object
from job.errors import CheckpointError, ConfigError
from job.storage.object_store import ListedObject, ObjectStore
from job.types import Json

Entry = CheckpointEntry | BestEntry


@dataclass(frozen=True)
class RunRecords:
    """HEAD of a run, and the identity that its checkpoints must have."""

    head: Head
    identity: Identity


@dataclass(frozen=True)
class Contents:
    """A checkpoint as stored.

    Attributes:
        commit: Its commit record.
        variables: Arrays by "part|path". One that is larger than a shard is flat.
        meta: `meta.json`; empty if only the weights were read.
    """

    commit: CommitRecord
    variables: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Json]


def read_run(store: ObjectStore) -> RunRecords:
    """Reads the records of a run.

    Raises:
        ConfigError: There is no run.
        CheckpointError: HEAD is lost, or a newer version of the program wrote it.
    """
    stored, head = read_stored(store), read_head(store)
    if stored is None:
        raise ConfigError(
            f"{store.uri} contains no run: {CONFIG} is missing. Give the directory of a run, "
            "<run.root>/<run.name>; `siamese-job runs ls ROOT` lists them."
        )
    if head is None or head.lineage != stored.lineage:
        raise CheckpointError(
            f"{store.uri}/{HEAD} is missing, damaged or of a removed run. It must list the "
            "checkpoints. Start the run: `siamese-job train` rebuilds it from the commits."
        )
    return RunRecords(head, Identity(head.run, stored.lineage, stored.fingerprint))


def entries_of(head: Head) -> list[Entry]:
    """Every checkpoint that HEAD lists, oldest first; of the best one maybe only weights."""
    entries: list[Entry] = list(head.checkpoints)
    if head.best is not None and not head.is_best_restorable:
        entries.append(head.best)
    return sorted(entries, key=lambda entry: entry.step)


def commit_of(store: ObjectStore, entry: Entry, *, run: RunRecords) -> CommitRecord:
    """The commit record of a checkpoint, with the objects that are kept of it.

    Raises:
        DamagedError: It is not the one that HEAD names.
    """
    commit = _commit(store, entry, run.identity)
    return _weights_alone(commit) if isinstance(entry, BestEntry) else commit


def damage_of(store: ObjectStore, entry: Entry, *, run: RunRecords) -> str:
    """Compares every object of a checkpoint with its commit record.

    Returns:
        What is wrong, or "".
    """
    try:
        verify_objects(store, entry.dir, commit_of(store, entry, run=run))
    except DamagedError as error:
        return str(error)
    return ""


def read_contents(
    store: ObjectStore, entry: Entry, *, identity: Identity, wants_weights: bool = False
) -> Contents:
    """Reads a checkpoint, verifying every byte.

    Args:
        store: The run directory.
        entry: From HEAD.
        identity: The run that it must belong to.
        wants_weights: Whether the weights are enough: of the best checkpoint nothing else may
            be left.

    Raises:
        DamagedError: Something differs from the commit.
    """
    commit = _commit(store, entry, identity)
    wanted = _weights_alone(commit) if wants_weights else commit
    variables: dict[str, NDArray[Any]] = {}
    meta: Any = {}
    for record in wanted.objects:
        data = read_object(store, entry.dir, record)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.infolist():
                    if member.filename == META:
                        meta = canonical_json.loads(
                            archive.read(member), limit_bytes=META_LIMIT_BYTES
                        )
                    else:
                        _add_member(archive, member, variables)
        except (zipfile.BadZipFile, ValueError) as error:
            raise DamagedError(f"{record.name} is not a readable .npz ({error})") from error
    return Contents(commit, variables, meta)


def leftovers(store: ObjectStore, run: RunRecords) -> list[ListedObject]:
    """What attempts before HEAD's left and HEAD does not name: checkpoints and results.

    Those attempts are fenced and a takeover only adopts commits of HEAD's own attempt, so this
    is garbage also while the run trains.
    """
    head = run.head
    objects = {one.name: one for one in [*store.list(CHECKPOINTS), *store.list(RESULTS)]}
    unlisted = [
        *left_behind(store, list_dirs(store), head, identity=run.identity, is_rebuilt=False),
        *old_results(objects, head),
    ]
    return [objects[name] for name in unlisted if name in objects]


def _commit(store: ObjectStore, entry: Entry, identity: Identity) -> CommitRecord:
    return read_commit(store, entry.dir, identity=identity, sha256=entry.commit_sha256).record


def _weights_alone(commit: CommitRecord) -> CommitRecord:
    objects = tuple(one for one in commit.objects if not is_resume_object(one.name))
    return replace(commit, objects=objects)


def _add_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, variables: dict[str, NDArray[Any]]
) -> None:
    """Adds one variable, or the next slice of one."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    array: NDArray[Any] = npy.read_array(io.BytesIO(archive.read(member)), allow_pickle=False)
    # A slice ends in "@<first element>"; the key itself is quoted.
    quoted, is_slice, _ = member.filename.removesuffix(".npy").partition("@")
    key = unquote(quoted)
    if is_slice and key in variables:
        array = np.concatenate([variables[key], array])
    variables[key] = array
