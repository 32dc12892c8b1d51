"""The HEAD that a new attempt writes to take a run over.

Three cases: HEAD is sound, and a checkpoint that the last attempt committed but could not enter
is adopted; HEAD is lost or damaged, and is rebuilt from the commits; nothing exists, and the
run is new. A run that has commits never starts over silently.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import CONFIG, HEAD, CheckpointDir, DirListing, list_dirs
from job.checkpoints.records import (
    RECORD_LIMIT_BYTES,
    SCHEMA,
    BestCheckpoint,
    CheckpointEntry,
    CommitRecord,
    Head,
    NewerSchemaError,
    Owner,
    Provenance,
    Rejected,
    StoredConfig,
    dumps,
    parse,
)
from job.checkpoints.restore import newer_version, read_commit, read_objects, read_stored
from job.errors import CheckpointError, ConfigError, PermissionDeniedError
from job.storage.object_store import (
    ObjectMissingError,
    ObjectStore,
    ObjectTooLargeError,
    PreconditionFailedError,
)

log = logging.getLogger(__name__)

_MAX_SUPERSEDED = 100


@dataclass(frozen=True)
class FoundHead:
    """HEAD.json before the takeover.

    Attributes:
        head: Its content; None if it is missing or damaged.
        generation: Generation to replace; 0 if it is missing.
        damage: What is wrong with it, or "".
    """

    head: Head | None
    generation: int
    damage: str


def find_head(store: ObjectStore, *, run: str) -> FoundHead:
    """Reads HEAD for a takeover.

    Raises:
        ConfigError: It belongs to a run of another name.
        CheckpointError: A newer version of the program wrote it.
    """
    try:
        found = store.read(HEAD, limit_bytes=RECORD_LIMIT_BYTES)
    except ObjectMissingError:
        return FoundHead(None, 0, "")
    except ObjectTooLargeError as error:
        listed = store.list(HEAD)
        return FoundHead(None, listed[0].generation if listed else 0, str(error))
    try:
        head = parse(Head, found.data)
    except NewerSchemaError as error:
        raise newer_version(store, HEAD, error) from error
    except DamagedError as error:
        return FoundHead(None, found.generation, str(error))
    if head.run != run:
        raise ConfigError(
            f"run.name: '{run}' was given, but {store.uri} contains run '{head.run}'. A run "
            "directory holds one run. Use its name, or another run.name or run.root."
        )
    return FoundHead(head, found.generation, "")


def next_head(store: ObjectStore, found: FoundHead, *, run: str, owner: Owner) -> Head:
    """Returns the HEAD that makes `owner` the holder of the run.

    Commits are listed before HEAD is replaced. A commit that a fenced attempt writes later is
    therefore never adopted: it is not in this listing, and the next takeover only looks at
    commits of the attempt before it.

    Args:
        store: The run directory.
        found: HEAD as read just before.
        run: Name of the run.
        owner: This process.

    Raises:
        CheckpointError: HEAD is lost, commits exist, and none of them can be used.
        PermissionDeniedError: The process belongs to a Job that lost the run to another one.
    """
    dirs = list_dirs(store)
    if found.head is not None:
        before = _adopt_uncommitted_entries(store, found.head, dirs)
    else:
        before = _rebuild(store, dirs, run=run, owner=owner, damage=found.damage)
    return replace(
        before,
        superseded=_superseded(before, owner),
        token=before.token + 1,
        owner=owner,
        seq=before.seq + 1,
        status="running",
        reason="",
        facts={},
    )


def with_checkpoints(
    head: Head, entries: Sequence[CheckpointEntry], *, best: BestCheckpoint | None
) -> Head:
    """Replaces the checkpoints of `head`; a best one that is not among them is dropped."""
    dirs = {entry.dir for entry in entries}
    return replace(
        head,
        checkpoints=tuple(entries),
        last=entries[-1].dir if entries else None,
        best=best if best is not None and best.dir in dirs else None,
    )


def reject(head: Head, dir: str, *, reason: str) -> Head:
    """Adds a checkpoint to the rejected ones and logs it."""
    log.warning("checkpoint rejected", extra={"dir": dir, "reason": reason})
    return replace(head, rejected=(*head.rejected, Rejected(dir, reason)))


def none_usable(store: ObjectStore, rejected: Sequence[Rejected]) -> CheckpointError:
    """The error for a run whose commits are all unusable."""
    reasons = "; ".join(f"{one.dir}: {one.reason}" for one in rejected[-3:])
    return CheckpointError(
        f"{store.uri} has checkpoints and none can be used ({reasons}). A run with checkpoints "
        "never starts over by itself. Restore the directory from a copy, use another run.name, "
        "or delete the directory."
    )


def ensure_config(store: ObjectStore, mine: Provenance) -> None:
    """Stores the configuration of a new run, or compares the data with the stored fingerprint.

    Raises:
        ConfigError: The run was started with other data, or just now with another config.
        CheckpointError: The stored configuration cannot be read.
    """
    stored = read_stored(store)
    if stored is None:
        record = StoredConfig(SCHEMA, mine.config, mine.config_sha256, mine.fingerprint)
        try:
            store.write(CONFIG, dumps(record), if_generation=0)
        except PreconditionFailedError:
            stored = read_stored(store)
            if stored is not None and stored.config_sha256 != mine.config_sha256:
                raise ConfigError(
                    f"{store.uri}: another process has just started this run with another "
                    "configuration. A run has one configuration. Start again to see the "
                    "differences, or use another run.name."
                ) from None
    if stored is not None:
        require_same_data(stored, fingerprint=mine.fingerprint, uri=store.uri)


def require_same_data(stored: StoredConfig, *, fingerprint: str, uri: str) -> None:
    """Rejects data that differs from what the run was started with.

    Raises:
        ConfigError: The fingerprints differ.
    """
    if stored.fingerprint != fingerprint:
        raise ConfigError(
            f"data: the pairs have fingerprint {fingerprint[:12]}, but the run in {uri} was "
            f"started with {stored.fingerprint[:12]}. A run keeps its data. Restore the "
            "earlier files, or start a new run under another run.name."
        )


def warn_if_environment_changed(commit: CommitRecord, now: Provenance) -> None:
    """Logs how this process differs from the one that committed: the last bits may differ."""
    differs = [
        f"{part}.{name}: {before.get(name)} -> {current.get(name)}"
        for part, before, current in (
            ("versions", commit.versions, now.versions),
            ("topology", commit.topology, now.topology),
        )
        for name in sorted({*before, *current})
        if before.get(name) != current.get(name)
    ]
    if differs:
        log.warning(
            "resumed elsewhere",
            extra={
                "differs": "; ".join(differs),
                "consequence": "results are equally good, but may differ in the last bits",
            },
        )


def _superseded(before: Head, owner: Owner) -> tuple[str, ...]:
    """The Jobs that may not take the run back.

    Pods of one Job take over from each other freely. If the pods of two Jobs did, each would
    fence the other for ever; so a Job loses a run for good, to the newest Job.
    """
    if owner.job and owner.job in before.superseded:
        raise PermissionDeniedError(
            f"run '{before.run}': another Job ({before.owner.job or 'none: a process'} on host "
            f"'{before.owner.host}') took it over from this one ({owner.job}). Only the newest "
            "Job may train a run. Remove one of the two, or use another run.name; reinstalling "
            "this Job would take the run back."
        )
    if before.owner.job in ("", owner.job):
        return before.superseded
    log.warning(
        "run taken over from another job",
        extra={"job": before.owner.job, "host": before.owner.host, "status": before.status},
    )
    return (*before.superseded, before.owner.job)[-_MAX_SUPERSEDED:]


def _adopt_uncommitted_entries(store: ObjectStore, head: Head, dirs: DirListing) -> Head:
    """Enters what HEAD's own attempt committed just before it died."""
    last_step = head.checkpoints[-1].step if head.checkpoints else -1
    for found in dirs.committed:
        if (
            found.token != head.token
            or found.step <= last_step
            or found.path in head.referenced_dirs
        ):
            continue
        try:
            commit, entry = _verified(store, found, run=head.run)
        except DamagedError as error:
            head = reject(head, found.path, reason=str(error))
        else:
            log.info("checkpoint adopted", extra={"dir": found.path, "step": found.step})
            head = with_checkpoints(head, (*head.checkpoints, entry), best=commit.best)
    return head


def _rebuild(
    store: ObjectStore, dirs: DirListing, *, run: str, owner: Owner, damage: str
) -> Head:
    """Creates HEAD from the commits, following the newest attempt where attempts overlap."""
    head = Head(
        schema=SCHEMA,
        run=run,
        token=dirs.newest_token,  # 0 in a new run, whose first attempt is number 1
        owner=owner,
        seq=0,
        status="running",
        reason="",
        facts={},
        checkpoints=(),
        last=None,
        best=None,
        rejected=(),
        superseded=(),
    )
    if not dirs.committed:
        if damage:
            log.warning("head unreadable", extra={"store": store.uri, "reason": damage})
        return head
    kept: list[tuple[CommitRecord, CheckpointEntry]] = []
    limit = math.inf
    for found in sorted(dirs.committed, key=lambda one: (one.token, one.step), reverse=True):
        # Commits of an attempt beyond the step where a later attempt started are not part of
        # the run: the later attempt's smaller step wins.
        if found.step >= limit:
            continue
        limit = found.step
        try:
            kept.append(_verified(store, found, run=run))
        except DamagedError as error:
            head = reject(head, found.path, reason=str(error))
    if not kept:
        raise none_usable(store, head.rejected)
    kept.reverse()
    log.warning(
        "head rebuilt",
        extra={"store": store.uri, "reason": damage or "missing", "checkpoints": len(kept)},
    )
    return with_checkpoints(head, [entry for _, entry in kept], best=kept[-1][0].best)


def _verified(
    store: ObjectStore, found: CheckpointDir, *, run: str
) -> tuple[CommitRecord, CheckpointEntry]:
    commit, entry = read_commit(store, found.path, run=run, sha256=None)
    read_objects(store, found.path, commit, state_limit=None)
    return commit, entry
