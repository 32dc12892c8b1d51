"""What HEAD becomes when a new attempt takes a run over.

Three cases: HEAD is sound, and a checkpoint that the last attempt committed and could not enter
any more is adopted; HEAD is lost or damaged, and is rebuilt from the commits; there is nothing,
and the run is new. A run that has commits never starts afresh in silence.
"""

import logging
import math
from collections.abc import Mapping, Sequence
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
from job.types import Json

log = logging.getLogger(__name__)

_SUPERSEDED_KEPT = 100


@dataclass(frozen=True)
class FoundHead:
    """HEAD.json before the takeover.

    Attributes:
        head: What it says; None where it is missing or damaged.
        generation: Generation to replace; 0 where it is missing.
        damage: What is wrong with it, or "".
    """

    head: Head | None
    generation: int
    damage: str


def find_head(store: ObjectStore, *, run: str) -> FoundHead:
    """Reads HEAD for a takeover.

    Raises:
        ConfigError: It belongs to a run of another name.
        CheckpointError: A later version of the program wrote it.
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
            f"run.name: '{run}' was given, and {store.uri} holds run '{head.run}'. A run's "
            f"folder holds that run only. Use its name, or another run.name or run.root."
        )
    return FoundHead(head, found.generation, "")


def next_head(store: ObjectStore, found: FoundHead, *, run: str, owner: Owner) -> Head:
    """Returns the HEAD that makes `owner` the holder of the run.

    The commits are listed before HEAD is replaced. So what a fenced attempt commits later is
    never seen: it was not there, and the next takeover looks at the attempt before it only.

    Args:
        store: Where the run lives.
        found: HEAD as read just before.
        run: Name of the run.
        owner: This process.

    Raises:
        CheckpointError: HEAD is lost, and commits exist of which none can be used.
        PermissionDeniedError: The process belongs to a Job that lost the run to another one.
    """
    dirs = list_dirs(store)
    if found.head is not None:
        before = _with_orphans(store, found.head, dirs)
    else:
        before = _rebuilt(store, dirs, run=run, owner=owner, damage=found.damage)
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


def _superseded(before: Head, owner: Owner) -> tuple[str, ...]:
    """The Jobs that may not take the run back.

    The pods of a Job take over from each other as they come. If those of two Jobs did, each
    would be fenced by the other for ever; so a Job loses a run for good, to the newest.
    """
    if owner.job and owner.job in before.superseded:
        raise PermissionDeniedError(
            f"run '{before.run}': another Job ({before.owner.job or 'none: a process'} on host "
            f"'{before.owner.host}') took it over from this one ({owner.job}). One Job at a "
            f"time may train a run, the newest. Remove one of the two, or give it another "
            f"run.name; installed anew, this one would take the run back."
        )
    if before.owner.job in ("", owner.job):
        return before.superseded
    log.warning(
        "run taken over from another job",
        extra={"job": before.owner.job, "host": before.owner.host, "status": before.status},
    )
    return (*before.superseded, before.owner.job)[-_SUPERSEDED_KEPT:]


def with_checkpoints(
    head: Head, entries: Sequence[CheckpointEntry], *, best: BestCheckpoint | None
) -> Head:
    """Returns `head` with other checkpoints; a best one that is not among them is dropped."""
    dirs = {entry.dir for entry in entries}
    return replace(
        head,
        checkpoints=tuple(entries),
        last=entries[-1].dir if entries else None,
        best=best if best is not None and best.dir in dirs else None,
    )


def reject(head: Head, dir: str, *, reason: str) -> Head:
    """Returns `head` with a checkpoint noted as unusable, and says so in the log."""
    log.warning("checkpoint rejected", extra={"dir": dir, "reason": reason})
    return replace(head, rejected=(*head.rejected, Rejected(dir, reason)))


def _with_orphans(store: ObjectStore, head: Head, dirs: DirListing) -> Head:
    """Enters what HEAD's own attempt committed just before it died."""
    last_step = head.checkpoints[-1].step if head.checkpoints else -1
    for folder in dirs.committed:
        if folder.token != head.token or folder.step <= last_step or folder.path in head.named:
            continue
        try:
            commit, entry = _verified(store, folder, run=head.run)
        except DamagedError as error:
            head = reject(head, folder.path, reason=str(error))
        else:
            log.info("checkpoint adopted", extra={"dir": folder.path, "step": folder.step})
            head = with_checkpoints(head, (*head.checkpoints, entry), best=commit.best)
    return head


def _rebuilt(
    store: ObjectStore, dirs: DirListing, *, run: str, owner: Owner, damage: str
) -> Head:
    """Makes HEAD anew from the commits of the newest lineage."""
    head = Head(
        schema=SCHEMA,
        run=run,
        token=dirs.newest_token,  # 0 in a new run, whose first attempt is then number 1
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
    for folder in sorted(dirs.committed, key=lambda one: (one.token, one.step), reverse=True):
        # What an attempt committed beyond the point where a later one began was never part of
        # the run: the later attempt's smaller step wins.
        if folder.step >= limit:
            continue
        limit = folder.step
        try:
            kept.append(_verified(store, folder, run=run))
        except DamagedError as error:
            head = reject(head, folder.path, reason=str(error))
    if not kept:
        raise none_usable(store, head.rejected)
    kept.reverse()
    log.warning(
        "head rebuilt",
        extra={"store": store.uri, "reason": damage or "missing", "checkpoints": len(kept)},
    )
    return with_checkpoints(head, [entry for _, entry in kept], best=kept[-1][0].best)


def none_usable(store: ObjectStore, rejected: Sequence[Rejected]) -> CheckpointError:
    """Returns the refusal to start a run afresh whose commits are all unusable."""
    reasons = "; ".join(f"{one.dir}: {one.reason}" for one in rejected[-3:])
    return CheckpointError(
        f"{store.uri} has checkpoints and none can be used ({reasons}). A run with checkpoints "
        f"never starts again from nothing by itself. Bring the folder back from a copy, or "
        f"start a new run under another run.name, or delete the folder."
    )


def _verified(
    store: ObjectStore, folder: CheckpointDir, *, run: str
) -> tuple[CommitRecord, CheckpointEntry]:
    commit, entry = read_commit(store, folder.path, run=run, sha256=None)
    read_objects(store, folder.path, commit, state_limit=None)
    return commit, entry


# "versions" maps libraries to versions, "topology" names to numbers or text.
Environment = Mapping[str, Mapping[str, str | int | float | bool]]


def ensure_config(
    store: ObjectStore, *, config: Mapping[str, Json], config_sha256: str, fingerprint: str
) -> None:
    """Stores the configuration of a new run, or checks the data against the stored one's.

    Args:
        store: Where the run lives.
        config: Resolved configuration.
        config_sha256: Its fingerprint.
        fingerprint: Fingerprint of the training data.

    Raises:
        ConfigError: The run was started with other data, or just now with another config.
        CheckpointError: The stored configuration cannot be read.
    """
    stored = read_stored(store)
    if stored is None:
        mine = StoredConfig(SCHEMA, config, config_sha256, fingerprint)
        try:
            store.write(CONFIG, dumps(mine), if_generation=0)
        except PreconditionFailedError:
            stored = read_stored(store)
            if stored is not None and stored.config_sha256 != config_sha256:
                raise ConfigError(
                    f"{store.uri}: another process started this run with another configuration "
                    f"just now. A run has one configuration. Start again to see what differs, "
                    f"or use another run.name."
                ) from None
    if stored is not None:
        require_same_data(stored, fingerprint=fingerprint, uri=store.uri)


def require_same_data(stored: StoredConfig, *, fingerprint: str, uri: str) -> None:
    """Refuses data that are not those the run was started with.

    Args:
        stored: Of the run.
        fingerprint: Of the data.
        uri: The run, for people.

    Raises:
        ConfigError: They are others.
    """
    if stored.fingerprint != fingerprint:
        raise ConfigError(
            f"data: the pairs have fingerprint {fingerprint[:12]}, and the run in {uri} "
            f"was started with {stored.fingerprint[:12]}. A run keeps its data. Bring the "
            f"earlier files back, or start a new run under another run.name."
        )


def warn_if_environment_changed(commit: CommitRecord, environment: Environment) -> None:
    """Logs what differs from where the commit was made: the final bits may differ too."""
    before = {"versions": commit.versions, "topology": commit.topology}
    differs = [
        f"{part}.{name}: {before[part].get(name)} -> {environment[part].get(name)}"
        for part in ("versions", "topology")
        for name in sorted({*before[part], *environment[part]})
        if before[part].get(name) != environment[part].get(name)
    ]
    if differs:
        log.warning(
            "resumed elsewhere",
            extra={
                "differs": "; ".join(differs),
                "consequence": "results are as good, but may differ in the last bits",
            },
        )
