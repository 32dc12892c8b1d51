"""What a new attempt reads and writes to take a run over.

config.json comes first: it exists once, decides the lineage, and is compared with the
configuration and the data of this process. Then HEAD: it is sound, and a checkpoint that the
last attempt committed but could not enter is adopted; or it is lost or damaged, and is rebuilt
from the commits of this lineage; or the run is new. A run that has commits never starts over
silently.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import CONFIG, HEAD, CheckpointDir, DirListing
from job.checkpoints.lease import write_if_generation
from job.checkpoints.policy import MAX_FRUITLESS
from job.checkpoints.records import (
    RECORD_LIMIT_BYTES,
    SCHEMA,
    BestCheckpoint,
    BestEntry,
    CheckpointEntry,
    CommitRecord,
    Head,
    Identity,
    NewerSchemaError,
    Owner,
    Provenance,
    Rejected,
    StoredConfig,
    dumps,
    parse,
)
from job.checkpoints.restore import (
    Commit,
    ForeignCommitError,
    newer_version,
    read_commit,
    read_stored,
    verify_objects,
)
from job.checkpoints.shards import is_resume_object
from job.errors import (
    CheckpointError,
    ConfigError,
    NoProgressError,
    PermissionDeniedError,
)
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError

log = logging.getLogger(__name__)

_MAX_SUPERSEDED = 100
_MAX_REJECTED = 100


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


def require_config(
    store: ObjectStore,
    mine: Provenance,
    *,
    check: Callable[[StoredConfig], None],
    lineage: Callable[[], str],
    writer: str,
    created: str,
    has_head: bool,
) -> StoredConfig | None:
    """Reads config.json and compares it with this process; a new run gets one.

    Args:
        store: The run directory.
        mine: What this process runs.
        check: Raises ConfigError if the stored configuration does not allow this one.
        lineage: Returns 32 random hexadecimal digits.
        writer: Nonce of this process.
        created: UTC time for the record.
        has_head: Whether HEAD was there just before.

    Returns:
        The stored record; None if another process created it just now: read it.

    Raises:
        ConfigError: The run was started with other data or another configuration.
        CheckpointError: The stored record cannot be read, or is lost while HEAD is there.
    """
    stored = read_stored(store)
    if stored is not None:
        check(stored)
        require_same_data(stored, fingerprint=mine.fingerprint, uri=store.uri)
        return stored
    if has_head:
        raise CheckpointError(
            f"{store.uri}: {HEAD} is there and {CONFIG} is missing. {CONFIG} holds the "
            "configuration and the identity of the run, without which no checkpoint can be "
            "trusted. Restore it from a copy, or delete the directory to start over."
        )
    record = StoredConfig(
        schema=SCHEMA,
        lineage=lineage(),
        created=created,
        writer=writer,
        config=mine.config,
        config_sha256=mine.config_sha256,
        fingerprint=mine.fingerprint,
        derived=mine.derived,
    )
    written = write_if_generation(store, CONFIG, dumps(record), if_generation=0)
    return None if written is None else record


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


def next_head(
    store: ObjectStore,
    found: FoundHead,
    dirs: DirListing,
    *,
    identity: Identity,
    owner: Owner,
    takeover: bool,
    created: str,
) -> Head:
    """Returns the HEAD that makes `owner` the holder of the run.

    Commits are listed before HEAD is replaced. A commit that a fenced attempt writes later is
    therefore never adopted: it is not in this listing, and the next takeover only looks at
    commits of the attempt before it.

    Args:
        store: The run directory.
        found: HEAD as read just before.
        dirs: The checkpoint directories, listed after that.
        identity: The run's, from config.json.
        owner: This process.
        takeover: Whether the unfinished run of another release may be taken over.
        created: UTC time for the record.

    Raises:
        CheckpointError: HEAD is lost, commits exist, and none of them can be used.
        PermissionDeniedError: The run belongs to another release, or this Job lost it to
            another Job.
        NoProgressError: Too many attempts trained and committed nothing new.
    """
    if found.head is not None and found.head.lineage == identity.lineage:
        before = found.head
        _require_right(before, owner, takeover=takeover)
        before = _adopt_uncommitted_entries(store, before, dirs, identity=identity)
    else:
        damage = found.damage
        if found.head is not None:
            damage = "it was left by a removed run"
        before = _rebuild(
            store, dirs, identity=identity, owner=owner, damage=damage, created=created
        )
    return replace(
        before,
        superseded=_superseded(before, owner),
        token=before.token + 1,
        owner=owner,
        seq=before.seq + 1,
        written=created,
        status="running",
        reason="",
        facts={},
        has_trained=False,
        fruitless=_fruitless(before, owner),
    )


def with_checkpoints(
    head: Head, entries: Sequence[CheckpointEntry], *, best: BestEntry | None
) -> Head:
    """Replaces the checkpoints of `head`."""
    last = entries[-1].dir if entries else None
    return replace(head, checkpoints=tuple(entries), last=last, best=best)


def reject(head: Head, dir: str, *, reason: str) -> Head:
    """Adds a checkpoint to the rejected ones and logs it."""
    log.warning("checkpoint rejected", extra={"dir": dir, "reason": reason})
    rejected = (*head.rejected, Rejected(dir, reason))
    return replace(head, rejected=rejected[-_MAX_REJECTED:])


def none_usable(store: ObjectStore, rejected: Sequence[Rejected]) -> CheckpointError:
    """The error for a run whose commits are all unusable."""
    reasons = "; ".join(f"{one.dir}: {one.reason}" for one in rejected[-3:])
    return CheckpointError(
        f"{store.uri} has checkpoints and none can be used ({reasons}). A run with checkpoints "
        "never starts over by itself. Restore the directory from a copy, use another run.name, "
        "or delete the directory."
    )


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


def _require_right(before: Head, owner: Owner, *, takeover: bool) -> None:
    """Rejects a process that may not take the run over.

    Pods of one Job take over from each other freely. If the pods of two Jobs did, each would
    fence the other for ever; so a Job loses a run for good. Within one release that is to the
    newest Job: an upgrade needs no permission.
    """
    if owner.job and owner.job in before.superseded:
        raise PermissionDeniedError(
            f"run '{before.run}': another Job ({before.owner.job or 'none: a process'} on host "
            f"'{before.owner.host}') took it over from this one ({owner.job}). Only the newest "
            "Job may train a run. Remove one of the two, or use another run.name; reinstalling "
            "this Job would take the run back."
        )
    theirs, ours = before.owner.full_release, owner.full_release
    if theirs and theirs != ours and before.status != "completed" and not takeover:
        raise PermissionDeniedError(
            f"run '{before.run}' is not finished and belongs to release '{theirs}'; this is "
            f"{f'release {ours!r}' if ours else f'a process on host {owner.host!r}'}. One "
            "release at a time may train a run. Use another run.name; or set run.takeover: "
            "true to take the run from that release for good."
        )


def _superseded(before: Head, owner: Owner) -> tuple[str, ...]:
    """The Jobs that may not take the run back."""
    if before.owner.job in ("", owner.job):
        return before.superseded
    log.warning(
        "run taken over from another job",
        extra={"job": before.owner.job, "host": before.owner.host, "status": before.status},
    )
    return (*before.superseded, before.owner.job)[-_MAX_SUPERSEDED:]


def _fruitless(before: Head, owner: Owner) -> int:
    """Attempts of this Job in a row that trained and committed nothing new.

    A preempted attempt and one that never trained say nothing about the next. Outside a cluster
    a person starts every attempt.

    Raises:
        NoProgressError: There were too many.
    """
    if not owner.job or owner.job != before.owner.job:
        return 0
    newest = CheckpointDir.parse(before.last) if before.last else None
    if newest is not None and newest.token == before.token:
        return 0
    count = before.fruitless
    if before.has_trained and before.status in ("running", "failed"):
        count += 1
    if count >= MAX_FRUITLESS:
        raise NoProgressError(
            f"run '{before.run}': {count} attempts in a row trained and committed no new "
            f"checkpoint; the last one, on host '{before.owner.host}', ended with: "
            f"{before.reason or 'nothing recorded, as after SIGKILL or too little memory'}. "
            "Another attempt would do the same. Look at the end of that pod's log, raise its "
            "memory limit or lower checkpoint.every_seconds, and start a new Job."
        )
    return count


def _adopt_uncommitted_entries(
    store: ObjectStore, head: Head, dirs: DirListing, *, identity: Identity
) -> Head:
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
            commit = _verified(store, found.path, identity=identity)
        except ForeignCommitError:
            continue
        except DamagedError as error:
            head = reject(head, found.path, reason=str(error))
            continue
        if commit.record.writer != head.owner.nonce:
            continue  # of a process that was fenced before this attempt number was taken
        log.info("checkpoint adopted", extra={"dir": found.path, "step": found.step})
        best = head.best
        if commit.record.best is not None and commit.record.best.dir == found.path:
            best = BestEntry.of(commit.record.best, commit_sha256=commit.entry.commit_sha256)
        head = with_checkpoints(head, (*head.checkpoints, commit.entry), best=best)
    return head


def _rebuild(
    store: ObjectStore,
    dirs: DirListing,
    *,
    identity: Identity,
    owner: Owner,
    damage: str,
    created: str,
) -> Head:
    """Creates HEAD from the commits, following the newest attempt where attempts overlap."""
    head = Head(
        schema=SCHEMA,
        run=identity.run,
        lineage=identity.lineage,
        token=dirs.newest_token,  # 0 in a new run, whose first attempt is number 1
        owner=owner,
        seq=0,
        written=created,
        status="running",
        reason="",
        facts={},
        results={},
        checkpoints=(),
        last=None,
        best=None,
        rejected=(),
        superseded=(),
        has_trained=False,
        fruitless=0,
    )
    kept: list[Commit] = []
    pruned: dict[str, Commit] = {}
    foreign = 0
    limit, limit_token = math.inf, 0
    for found in sorted(dirs.committed, key=lambda one: (one.token, one.step), reverse=True):
        # Commits of an attempt beyond the step where a later attempt started are not part of
        # the run: the later attempt's smaller step wins.
        if found.step > limit or (found.step == limit and found.token != limit_token):
            continue
        try:
            commit = read_commit(store, found.path, identity=identity, sha256=None)
            is_complete = all(
                one.name in dirs.objects[found.path] for one in commit.record.objects
            )
            if not is_complete and _is_weights_only(commit.record, dirs):
                pruned[found.path] = commit
                continue
            verify_objects(store, found.path, commit.record)
        except ForeignCommitError:
            foreign += 1
            continue
        except DamagedError as error:
            head = reject(head, found.path, reason=str(error))
        else:
            kept.append(commit)
        limit, limit_token = found.step, found.token
    if foreign:
        facts = {"store": store.uri, "count": foreign}
        log.warning("checkpoints of a removed run ignored", extra=facts)
    if not kept:
        if head.rejected:
            raise none_usable(store, head.rejected)
        if damage:
            log.warning("head unreadable", extra={"store": store.uri, "reason": damage})
        return head
    kept.sort(key=lambda one: (one.record.step, one.record.epoch))
    log.warning(
        "head rebuilt",
        extra={"store": store.uri, "reason": damage or "missing", "checkpoints": len(kept)},
    )
    known = pruned | {one.entry.dir: one for one in kept}
    best = _rebuilt_best(kept[-1].record.best, known)
    return with_checkpoints(head, [one.entry for one in kept], best=best)


def _is_weights_only(record: CommitRecord, dirs: DirListing) -> bool:
    """Whether a directory can be what is kept of an earlier best checkpoint."""
    dir = CheckpointDir(record.step, record.token, record.nonce).path
    there = dirs.objects[dir]
    missing = [one.name for one in record.objects if one.name not in there]
    return (
        record.best is not None
        and record.best.dir == dir
        and all(is_resume_object(name) for name in missing)
    )


def _rebuilt_best(best: BestCheckpoint | None, known: Mapping[str, Commit]) -> BestEntry | None:
    if best is None or best.dir not in known:
        return None
    return BestEntry.of(best, commit_sha256=known[best.dir].entry.commit_sha256)


def _verified(store: ObjectStore, dir: str, *, identity: Identity) -> Commit:
    commit = read_commit(store, dir, identity=identity, sha256=None)
    verify_objects(store, dir, commit.record)
    return commit
