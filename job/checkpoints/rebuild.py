"""HEAD's list of checkpoints, from the commits that are there.

A takeover enters what the last attempt committed but could not enter. If HEAD is lost, it is
made from the commits of this lineage; a run that has commits never starts over silently.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import CheckpointDir, DirListing
from job.checkpoints.provenance import Identity
from job.checkpoints.records import (
    SCHEMA,
    BestCheckpoint,
    BestEntry,
    CheckpointEntry,
    CommitRecord,
    Head,
    Owner,
    Rejected,
)
from job.checkpoints.restore import Commit, ForeignCommitError, read_commit, verify_objects
from job.checkpoints.shards import is_resume_object
from job.errors import CheckpointError
from job.storage.object_store import ObjectStore

log = logging.getLogger(__name__)

_MAX_REJECTED = 100


def with_checkpoints(
    head: Head, entries: Sequence[CheckpointEntry], *, best: BestEntry | None
) -> Head:
    """Replaces the checkpoints of `head`."""
    last = entries[-1].dir if entries else None
    return replace(head, checkpoints=tuple(entries), last=last, best=best)


def best_among(
    known: BestCheckpoint | None, entries: Iterable[CheckpointEntry]
) -> BestEntry | None:
    """HEAD's entry for the best checkpoint that a commit names, if it is among `entries`."""
    if known is None:
        return None
    hashes = (one.commit_sha256 for one in entries if one.dir == known.dir)
    return next((BestEntry.of(known, commit_sha256=found) for found in hashes), None)


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


def adopt_uncommitted_entries(
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
        best = best_among(commit.record.best, [commit.entry]) or head.best
        head = with_checkpoints(head, (*head.checkpoints, commit.entry), best=best)
    return head


def rebuild_head(
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
    pruned: list[CheckpointEntry] = []
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
                pruned.append(commit.entry)
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
    entries = [one.entry for one in kept]
    best = best_among(kept[-1].record.best, [*pruned, *entries])
    return with_checkpoints(head, entries, best=best)


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


def _verified(store: ObjectStore, dir: str, *, identity: Identity) -> Commit:
    commit = read_commit(store, dir, identity=identity, sha256=None)
    verify_objects(store, dir, commit.record)
    return commit
