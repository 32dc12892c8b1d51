"""What a new attempt reads and writes to take a run over.

config.json comes first: it exists once, decides the lineage, and is compared with the
configuration and the data of this process. Then HEAD: it is sound, and a checkpoint that the
last attempt committed but could not enter is adopted; or it is lost or damaged, and is rebuilt
from the commits of this lineage; or the run is new. A run that has commits never starts over
silently.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import CONFIG, HEAD, CheckpointDir, DirListing, list_dirs
from job.checkpoints.lease import Lease, write_if_generation
from job.checkpoints.policy import MAX_FRUITLESS
from job.checkpoints.provenance import Identity, Provenance
from job.checkpoints.rebuild import adopt_uncommitted_entries, rebuild_head
from job.checkpoints.records import (
    RECORD_LIMIT_BYTES,
    SCHEMA,
    CommitRecord,
    Head,
    NewerSchemaError,
    Owner,
    StoredConfig,
    dumps,
    parse,
)
from job.checkpoints.restore import newer_version, read_stored
from job.checkpoints.surroundings import Surroundings
from job.errors import (
    CheckpointError,
    ConfigError,
    FencedError,
    NoProgressError,
    PermissionDeniedError,
)
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError

log = logging.getLogger(__name__)

_TRIES = 20
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


@dataclass(frozen=True, eq=False)
class TakenRun:
    """A run that this attempt holds now.

    Attributes:
        lease: HEAD as this attempt wrote it.
        identity: The run's.
        listing: The checkpoint directories, from before HEAD was taken over.
        is_rebuilt: Whether HEAD was made from commits.
    """

    lease: Lease
    identity: Identity
    listing: DirListing
    is_rebuilt: bool


def take_over(
    store: ObjectStore,
    *,
    owner: Owner,
    provenance: Provenance,
    check: Callable[[StoredConfig], None],
    takeover: bool,
    around: Surroundings,
) -> TakenRun:
    """Makes `owner` the holder of the run; begins again where another attempt was faster.

    Args and errors: those of `CheckpointManager.acquire`.
    """
    for _ in range(_TRIES):
        found = find_head(store, run=provenance.run)
        stored = require_config(
            store,
            provenance,
            check=check,
            lineage=around.lineage,
            writer=owner.nonce,
            created=around.timestamp(),
            has_head=found.generation > 0,
        )
        if stored is None:
            continue
        identity = Identity(provenance.run, stored.lineage, stored.fingerprint)
        listing = list_dirs(store)
        try:
            head = next_head(
                store,
                found,
                listing,
                identity=identity,
                owner=owner,
                takeover=takeover,
                created=around.timestamp(),
            )
        except CheckpointError:
            if find_head(store, run=provenance.run).generation == found.generation:
                raise
            continue  # another attempt took over and deleted what was listed
        written = write_if_generation(store, HEAD, dumps(head), if_generation=found.generation)
        if written is None:
            continue
        lease = Lease(store, head, generation=written.generation, around=around)
        is_rebuilt = found.head is None or found.head.lineage != identity.lineage
        return TakenRun(lease, identity, listing, is_rebuilt)
    raise FencedError(
        f"run '{provenance.run}': other attempts took it over {_TRIES} times while this one "
        "tried. One attempt at a time may hold a run. Start it in one place only."
    )


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

    Without HEAD the run is new, as a rule: config.json is then created, which fails if there is
    one, and read only after that.

    Args:
        store: The run directory.
        mine: What this process runs.
        check: Raises ConfigError if the stored configuration does not allow this one.
        lineage: Returns 32 random hexadecimal digits.
        writer: Nonce of this process.
        created: UTC time for the record.
        has_head: Whether HEAD was there just before.

    Returns:
        The stored record; None if another process created or removed it just now: try again.

    Raises:
        ConfigError: The run was started with other data or another configuration.
        CheckpointError: The stored record cannot be read, or is lost while HEAD is there.
    """
    if not has_head:
        record = _new_config(mine, lineage=lineage(), writer=writer, created=created)
        if write_if_generation(store, CONFIG, dumps(record), if_generation=0) is not None:
            return record
    stored = read_stored(store)
    if stored is not None:
        check(stored)
        require_same_data(stored, fingerprint=mine.fingerprint, uri=store.uri)
    elif has_head:
        raise CheckpointError(
            f"{store.uri}: {HEAD} is there and {CONFIG} is missing. {CONFIG} holds the "
            "configuration and the identity of the run, without which no checkpoint can be "
            "trusted. Restore it from a copy, or delete the directory to start over."
        )
    return stored


def _new_config(mine: Provenance, *, lineage: str, writer: str, created: str) -> StoredConfig:
    return StoredConfig(
        schema=SCHEMA,
        lineage=lineage,
        created=created,
        writer=writer,
        config=mine.config,
        config_sha256=mine.config_sha256,
        fingerprint=mine.fingerprint,
        derived=mine.derived,
    )


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
        before = adopt_uncommitted_entries(store, before, dirs, identity=identity)
    else:
        damage = found.damage
        if found.head is not None:
            damage = "it was left by a removed run"
        before = rebuild_head(
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
