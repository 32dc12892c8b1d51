"""Reads and verifies committed checkpoints; writes nothing.

A reader needs no lease, so `evaluate` can load the best checkpoint of a run that is training::

    head = read_head(store)
    restored = load_best(store, head, expected=spec_of(variables))
"""

import hashlib
import logging
from dataclasses import dataclass

import google_crc32c

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, CONFIG, HEAD, META, STATE, CheckpointDir
from job.checkpoints.records import (
    RECORD_LIMIT_BYTES,
    CheckpointEntry,
    CommitRecord,
    Head,
    NewerSchemaError,
    StoredConfig,
    parse,
)
from job.checkpoints.serialization import (
    META_LIMIT_BYTES,
    RunState,
    Spec,
    decode_state,
    decode_variables,
    state_limit_bytes,
)
from job.errors import CheckpointError
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from job.types import Position

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """A committed state.

    Attributes:
        state: The snapshot.
        commit: Its verified record.
        dir: The checkpoint's directory.
    """

    state: RunState
    commit: CommitRecord
    dir: str


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
            "started with. Restore it from a copy, or delete it: the current configuration "
            "then becomes the run's."
        ) from error


def load_best(store: ObjectStore, head: Head, *, expected: Spec) -> Restored | None:
    """Loads the best checkpoint; None if no epoch has been measured yet.

    Args:
        store: The run directory.
        head: From `read_head` or the manager.
        expected: (shape, dtype) of every variable, by key.

    Raises:
        CheckpointError: There is a best checkpoint and it cannot be used.
    """
    if head.best is None:
        return None
    return load_dir(store, head, dir=head.best.dir, expected=expected)


def load_last(store: ObjectStore, head: Head, *, expected: Spec) -> Restored | None:
    """Loads the newest checkpoint; None if there is none. Arguments as `load_best`.

    Raises:
        CheckpointError: There is one and it cannot be used.
    """
    if head.last is None:
        return None
    return load_dir(store, head, dir=head.last, expected=expected)


def load_dir(store: ObjectStore, head: Head, *, dir: str, expected: Spec) -> Restored:
    """Loads one checkpoint of HEAD. Arguments as `load_best`.

    Raises:
        CheckpointError: It is not among HEAD's checkpoints, or cannot be used.
    """
    entry = next((one for one in head.checkpoints if one.dir == dir), None)
    if entry is None:
        known = ", ".join(one.dir for one in head.checkpoints) or "none"
        raise CheckpointError(f"no checkpoint '{dir}' in {store.uri}. Available: {known}.")
    try:
        return load_entry(store, entry, run=head.run, expected=expected)
    except DamagedError as error:
        raise CheckpointError(
            f"{store.uri}/{dir}: {error}. It must be what was committed. Use another "
            "checkpoint, or restore this one from a copy."
        ) from error


def load_entry(
    store: ObjectStore, entry: CheckpointEntry, *, run: str, expected: Spec
) -> Restored:
    """Reads one checkpoint and verifies every byte.

    Raises:
        DamagedError: Something differs from the commit or from `expected`.
    """
    commit, _ = read_commit(store, entry.dir, run=run, sha256=entry.commit_sha256)
    data = read_objects(store, entry.dir, commit, state_limit=state_limit_bytes(expected))
    state = decode_state(decode_variables(data[STATE], expected=expected), data[META])
    position = Position(commit.epoch, commit.step_in_epoch, commit.step)
    if state.position != position:
        raise DamagedError(f"{META} has {state.position}, the commit {position}")
    return Restored(state, commit, entry.dir)


def read_commit(
    store: ObjectStore, dir: str, *, run: str, sha256: str | None
) -> tuple[CommitRecord, CheckpointEntry]:
    """Reads the commit record of a directory, and builds HEAD's entry for it.

    Args:
        store: The run directory.
        dir: Directory of the checkpoint.
        run: Name of the run it must belong to.
        sha256: Hash the record must have; None if HEAD does not know it.

    Raises:
        DamagedError: It is missing, or belongs to another directory or run.
    """
    try:
        found = store.read(f"{dir}/{COMMIT}", limit_bytes=RECORD_LIMIT_BYTES)
    except (ObjectMissingError, ObjectTooLargeError) as error:
        raise DamagedError(f"{COMMIT} is missing or too large ({error})") from error
    digest = hashlib.sha256(found.data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise DamagedError(f"{COMMIT} has sha256 {digest[:12]}, HEAD expects {sha256[:12]}")
    commit = parse(CommitRecord, found.data)
    if commit.run != run:
        raise DamagedError(f"{COMMIT} belongs to run '{commit.run}', not '{run}'")
    if CheckpointDir(commit.step, commit.token, commit.nonce).path != dir:
        raise DamagedError(f"{COMMIT} belongs to another checkpoint, of step {commit.step}")
    if sorted(one.name for one in commit.objects) != sorted((META, STATE)):
        raise DamagedError(f"{COMMIT} lists {[one.name for one in commit.objects]}")
    metric = commit.metrics.get(commit.best.monitor) if commit.best is not None else None
    return commit, CheckpointEntry(commit.step, dir, digest, found.generation, metric)


def read_objects(
    store: ObjectStore, dir: str, commit: CommitRecord, *, state_limit: int | None
) -> dict[str, bytes]:
    """Reads a checkpoint's objects by name, each compared with the commit record.

    Generations are not compared: a copied run directory has new ones.

    Args:
        store: The run directory.
        dir: Directory of the checkpoint.
        commit: Its verified record.
        state_limit: Largest .npz that is read, in bytes; None if the model is not known.

    Raises:
        DamagedError: An object is missing, or has another size or checksum.
    """
    limits = {STATE: state_limit, META: META_LIMIT_BYTES}
    found: dict[str, bytes] = {}
    for wanted in commit.objects:
        limit = limits[wanted.name]
        if limit is not None and wanted.size > limit:
            raise DamagedError(f"{wanted.name} has {wanted.size} bytes, the limit is {limit}")
        try:
            data = store.read(f"{dir}/{wanted.name}", limit_bytes=wanted.size).data
        except (ObjectMissingError, ObjectTooLargeError) as error:
            raise DamagedError(f"{wanted.name} is missing or too large ({error})") from error
        if len(data) != wanted.size or google_crc32c.value(data) != wanted.crc32c:
            raise DamagedError(f"{wanted.name} has another size or crc32c than committed")
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise DamagedError(f"{wanted.name} has another sha256 than committed")
        found[wanted.name] = data
    return found


def newer_version(store: ObjectStore, name: str, error: Exception) -> CheckpointError:
    """The error for a record that a newer version of the program wrote."""
    return CheckpointError(
        f"{store.uri}/{name}: {error}. Use the version of siamese-job that wrote it or a newer "
        "one, or start a new run under another run.name."
    )
