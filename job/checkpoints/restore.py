"""Finding and verifying what is committed, without writing anything.

A reader needs no lease, so `evaluate` can load the best checkpoint of a run that is training::

    head = read_head(store)
    restored = load_best(store, head, expected=spec_of(variables))
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """A run's state as it was committed.

    Attributes:
        state: Variables, position, callbacks and history.
        commit: The record that was verified.
        dir: The checkpoint's folder.
    """

    state: RunState
    commit: CommitRecord
    dir: str


def read_head(store: ObjectStore) -> Head | None:
    """Returns how the run stands, or None where nothing readable says so.

    A damaged HEAD is logged and counts as none: `CheckpointManager.acquire` rebuilds it.

    Raises:
        CheckpointError: A later version of the program wrote it.
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


def read_stored_config(store: ObjectStore) -> Mapping[str, Any] | None:
    """Returns the resolved configuration the run was started with, or None for a new run.

    Raises:
        CheckpointError: `config.json` is there and cannot be read.
    """
    stored = read_stored(store)
    return None if stored is None else stored.config


def read_stored(store: ObjectStore) -> StoredConfig | None:
    """As `read_stored_config`, with the fingerprints.

    Raises:
        CheckpointError: `config.json` is there and cannot be read.
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
            f"started with. Bring it back from a copy, or delete it: then the present "
            f"configuration is taken for the run's."
        ) from error


def load_best(store: ObjectStore, head: Head, *, expected: Spec) -> Restored | None:
    """Returns the best checkpoint's state, or None where no epoch was measured yet.

    Args:
        store: Where the run lives.
        head: What `read_head` or the manager has.
        expected: (shape, dtype) of every variable, by key.

    Raises:
        CheckpointError: There is a best checkpoint and it cannot be used.
    """
    if head.best is None:
        return None
    return load_dir(store, head, dir=head.best.dir, expected=expected)


def load_last(store: ObjectStore, head: Head, *, expected: Spec) -> Restored | None:
    """Returns the newest checkpoint's state, or None where there is none.

    Args:
        store: Where the run lives.
        head: What `read_head` or the manager has.
        expected: (shape, dtype) of every variable, by key.

    Raises:
        CheckpointError: There is one and it cannot be used.
    """
    if head.last is None:
        return None
    return load_dir(store, head, dir=head.last, expected=expected)


def load_dir(store: ObjectStore, head: Head, *, dir: str, expected: Spec) -> Restored:
    """Returns the state of one checkpoint of HEAD.

    Args:
        store: Where the run lives.
        head: What `read_head` or the manager has.
        dir: Folder of the checkpoint.
        expected: (shape, dtype) of every variable, by key.

    Raises:
        CheckpointError: It is not among HEAD's checkpoints, or cannot be used.
    """
    entry = next((one for one in head.checkpoints if one.dir == dir), None)
    if entry is None:
        kept = ", ".join(one.dir for one in head.checkpoints) or "none"
        raise CheckpointError(f"no checkpoint '{dir}' in {store.uri}. Kept are: {kept}.")
    try:
        return load_entry(store, entry, run=head.run, expected=expected)
    except DamagedError as error:
        raise CheckpointError(
            f"{store.uri}/{dir}: {error}. It must be what was committed. Use another "
            f"checkpoint, or bring this one back from a copy."
        ) from error


def load_entry(
    store: ObjectStore, entry: CheckpointEntry, *, run: str, expected: Spec
) -> Restored:
    """Reads one checkpoint and checks every byte of it.

    Raises:
        DamagedError: Anything about it is not as committed or not as expected.
    """
    commit, _ = read_commit(store, entry.dir, run=run, sha256=entry.commit_sha256)
    data = read_objects(store, entry.dir, commit, state_limit=state_limit_bytes(expected))
    state = decode_state(decode_variables(data[STATE], expected=expected), data[META])
    position = (commit.step, commit.epoch, commit.step_in_epoch)
    there = state.position
    if (there.global_step, there.epoch, there.step_in_epoch) != position:
        raise DamagedError(f"{META} stands at {there}, the commit at {position}")
    return Restored(state, commit, entry.dir)


def read_commit(
    store: ObjectStore, dir: str, *, run: str, sha256: str | None
) -> tuple[CommitRecord, CheckpointEntry]:
    """Reads the commit record of a folder, and makes HEAD's entry for it.

    Args:
        store: Where the run lives.
        dir: Folder of the checkpoint.
        run: Name of the run it must belong to.
        sha256: Fingerprint the record must have; None where only the record itself can tell.

    Raises:
        DamagedError: There is none, or it is not this folder's.
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

    The generation is not compared: a run folder that was copied has new ones.

    Args:
        store: Where the run lives.
        dir: Folder of the checkpoint.
        commit: Its verified record.
        state_limit: Longest .npz that is read; None where the model is not known.

    Raises:
        DamagedError: An object is missing, or has another size or checksum.
    """
    limits = {STATE: state_limit, META: META_LIMIT_BYTES}
    found: dict[str, bytes] = {}
    for wanted in commit.objects:
        limit = limits[wanted.name]
        if limit is not None and wanted.size > limit:
            raise DamagedError(f"{wanted.name} has {wanted.size} bytes, at most {limit} fit")
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
    """Returns the refusal of a record that a later version of the program wrote."""
    return CheckpointError(
        f"{store.uri}/{name}: {error}. Use the version of siamese-job that wrote it, or a "
        f"later one, or start a new run under another run.name."
    )
