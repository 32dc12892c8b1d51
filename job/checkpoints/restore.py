"""Reads and verifies committed checkpoints; writes nothing.

A reader needs no lease, so `evaluate` can load the best checkpoint of a run that is training::

    head = read_head(store)
    weights = load_weights(store, head.best, identity=identity, expected=spec_of(variables))
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import google_crc32c
from numpy.typing import NDArray

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, CONFIG, HEAD, CheckpointDir
from job.checkpoints.provenance import Identity
from job.checkpoints.records import (
    RECORD_LIMIT_BYTES,
    BestEntry,
    CheckpointEntry,
    CommitRecord,
    Head,
    NewerSchemaError,
    ObjectRecord,
    StoredConfig,
    parse,
)
from job.checkpoints.serialization import MODEL, RunState, Spec, decode_state
from job.checkpoints.shards import (
    META,
    Shard,
    decode_shard,
    empty_variables,
    limit_bytes,
    plan_shards,
)
from job.errors import CheckpointError
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from job.types import Position

log = logging.getLogger(__name__)

_DOWNLOADS = 4


class ForeignCommitError(DamagedError):
    """A commit of a run that had the same name before and was removed."""


@dataclass(frozen=True)
class Commit:
    """A verified commit record and HEAD's entry for it."""

    record: CommitRecord
    entry: CheckpointEntry


@dataclass(frozen=True)
class Restored:
    """A committed state.

    Attributes:
        state: The snapshot.
        commit: Its verified record.
    """

    state: RunState
    commit: CommitRecord


def read_head(store: ObjectStore) -> Head | None:
    """Reads HEAD; None if it is missing or damaged.

    A damaged HEAD is logged; `CheckpointManager.acquire` rebuilds it.

    Raises:
        CheckpointError: A newer version of the program wrote it.
    """
    try:
        return parse(Head, store.read(HEAD, limit_bytes=RECORD_LIMIT_BYTES).data)
    except ObjectMissingError:
        return None
    except NewerSchemaError as error:
        raise newer_version(store, HEAD, error) from error
    except (DamagedError, ObjectTooLargeError) as error:
        log.warning("head unreadable", extra={"store": store.uri, "reason": str(error)})
        return None


def read_stored(store: ObjectStore) -> StoredConfig | None:
    """Reads what the run was started with; None for a new run.

    Raises:
        CheckpointError: `config.json` exists and cannot be read.
    """
    try:
        return parse(StoredConfig, store.read(CONFIG, limit_bytes=RECORD_LIMIT_BYTES).data)
    except ObjectMissingError:
        return None
    except NewerSchemaError as error:
        raise newer_version(store, CONFIG, error) from error
    except (DamagedError, ObjectTooLargeError) as error:
        raise CheckpointError(
            f"{store.uri}/{CONFIG}: {error}. It must be the configuration that the run was "
            "started with. Restore it from a copy, or delete the directory to start over."
        ) from error


def load_entry(
    store: ObjectStore, entry: CheckpointEntry, *, identity: Identity, expected: Spec
) -> Restored:
    """Reads one checkpoint and verifies every byte.

    Args:
        store: The run directory.
        entry: From HEAD.
        identity: The run that it must belong to.
        expected: (shape, dtype) of every variable, by key.

    Raises:
        DamagedError: Something differs from the commit or from `expected`.
    """
    commit = read_commit(store, entry.dir, identity=identity, sha256=entry.commit_sha256).record
    shards = _shards(commit, expected)
    variables = empty_variables(expected)
    meta = _read_shards(store, entry.dir, commit, shards, spec=expected, into=variables)
    state = decode_state(variables, meta)
    position = Position(commit.epoch, commit.step_in_epoch, commit.step)
    if state.position != position:
        raise DamagedError(f"{META} has {state.position}, the commit {position}")
    return Restored(state, commit)


def load_weights(
    store: ObjectStore,
    entry: CheckpointEntry | BestEntry,
    *,
    identity: Identity,
    expected: Spec,
) -> dict[str, NDArray[Any]]:
    """Reads the weights of a checkpoint; of the best one nothing else may be left.

    Args: As for `load_entry`.

    Returns:
        The MODEL part of the variables, by key.

    Raises:
        CheckpointError: They cannot be used.
    """
    try:
        commit = read_commit(
            store, entry.dir, identity=identity, sha256=entry.commit_sha256
        ).record
        shards = _shards(commit, expected)
        model = [shard for shard in shards if shard.is_model] or shards
        variables = empty_variables(expected)
        _read_shards(store, entry.dir, commit, model, spec=expected, into=variables)
    except DamagedError as error:
        raise CheckpointError(
            f"{store.uri}/{entry.dir}: {error}. It must be what was committed. Use another "
            "checkpoint, or restore this one from a copy."
        ) from error
    return {key: one for key, one in variables.items() if key.startswith(f"{MODEL}|")}


def newest_weights(
    store: ObjectStore, *, identity: Identity, expected: Spec, wants_best: bool
) -> tuple[Head, CheckpointEntry | BestEntry, dict[str, NDArray[Any]]]:
    """Reads the best or the last weights of a run that may be training meanwhile.

    A checkpoint that is deleted while it is read is replaced by what HEAD names by then.

    Raises:
        CheckpointError: There are none, or they cannot be used.
    """
    known: CheckpointEntry | BestEntry | None = None
    failure: CheckpointError | None = None
    while True:
        head = read_head(store)
        if head is None or not head.checkpoints:
            raise CheckpointError(
                f"{store.uri} contains no committed checkpoint. Train the run first."
            )
        entry = head.best if wants_best and head.best is not None else head.checkpoints[-1]
        if failure is not None and entry == known:
            raise failure
        known = entry
        try:
            return head, entry, load_weights(store, entry, identity=identity, expected=expected)
        except CheckpointError as error:
            failure = error


def read_commit(
    store: ObjectStore, dir: str, *, identity: Identity, sha256: str | None
) -> Commit:
    """Reads the commit record of a directory.

    Args:
        store: The run directory.
        dir: Directory of the checkpoint.
        identity: The run that it must belong to.
        sha256: Hash that the record must have; None if HEAD does not know it.

    Raises:
        ForeignCommitError: It belongs to a run that had this name before.
        DamagedError: It is missing, or belongs to another directory or other data.
    """
    try:
        found = store.read(f"{dir}/{COMMIT}", limit_bytes=RECORD_LIMIT_BYTES)
    except (ObjectMissingError, ObjectTooLargeError) as error:
        raise DamagedError(f"{COMMIT} is missing or too large ({error})") from error
    digest = hashlib.sha256(found.data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise DamagedError(f"{COMMIT} has sha256 {digest[:12]}, HEAD expects {sha256[:12]}")
    commit = parse(CommitRecord, found.data)
    if commit.run != identity.run:
        raise DamagedError(f"{COMMIT} belongs to run '{commit.run}', not '{identity.run}'")
    if commit.lineage != identity.lineage:
        raise ForeignCommitError(
            f"{COMMIT} belongs to lineage {commit.lineage[:12]} of run '{commit.run}', not to "
            f"{identity.lineage[:12]}"
        )
    if commit.fingerprint != identity.fingerprint:
        raise DamagedError(
            f"{COMMIT} was written for data {commit.fingerprint[:12]}, not "
            f"{identity.fingerprint[:12]}"
        )
    if CheckpointDir(commit.step, commit.token, commit.nonce).path != dir:
        raise DamagedError(f"{COMMIT} belongs to another checkpoint, of step {commit.step}")
    return Commit(commit, CheckpointEntry(commit.step, dir, digest, commit.finite))


def verify_objects(store: ObjectStore, dir: str, commit: CommitRecord) -> None:
    """Compares a checkpoint's objects with the commit record, without decoding them.

    Raises:
        DamagedError: An object is missing, or has another size or checksum.
    """
    for wanted in commit.objects:
        read_object(store, dir, wanted)


def _shards(commit: CommitRecord, expected: Spec) -> list[Shard]:
    """The plan that the objects of a commit follow."""
    names = [one.name for one in commit.objects]
    for split in (False, True):
        shards = plan_shards(expected, split=split)
        if [shard.name for shard in shards] == names:
            break
    else:
        raise DamagedError(f"{COMMIT} lists {names[:4]}, which does not fit the model")
    for shard, wanted in zip(shards, commit.objects, strict=True):
        limit = limit_bytes(shard, expected)
        if wanted.size > limit:
            raise DamagedError(f"{wanted.name} has {wanted.size} bytes, the limit is {limit}")
    return list(shards)


def _read_shards(
    store: ObjectStore,
    dir: str,
    commit: CommitRecord,
    shards: Sequence[Shard],
    *,
    spec: Spec,
    into: Mapping[str, NDArray[Any]],
) -> bytes:
    """Fills the arrays of the shards, several at a time; returns `meta.json`."""
    records = {one.name: one for one in commit.objects}

    def load(shard: Shard) -> bytes:
        data = read_object(store, dir, records[shard.name])
        return decode_shard(shard, data, spec=spec, into=into)

    if len(shards) <= 2:
        return b"".join(map(load, shards))
    with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="restore") as pool:
        return b"".join(pool.map(load, shards))


def read_object(store: ObjectStore, dir: str, wanted: ObjectRecord) -> bytes:
    """Reads an object of a checkpoint and compares it with the commit record.

    Generations are not compared: a copied run directory has new ones.
    """
    try:
        data = store.read(f"{dir}/{wanted.name}", limit_bytes=wanted.size).data
    except (ObjectMissingError, ObjectTooLargeError) as error:
        raise DamagedError(f"{wanted.name} is missing or too large ({error})") from error
    if len(data) != wanted.size or google_crc32c.value(data) != wanted.crc32c:
        raise DamagedError(f"{wanted.name} has another size or crc32c than committed")
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise DamagedError(f"{wanted.name} has another sha256 than committed")
    return data


def newer_version(store: ObjectStore, name: str, error: Exception) -> CheckpointError:
    """The error for a record that a newer version of the program wrote."""
    return CheckpointError(
        f"{store.uri}/{name}: {error}. Use the version of siamese-job that wrote it or a newer "
        "one, or start a new run under another run.name."
    )
