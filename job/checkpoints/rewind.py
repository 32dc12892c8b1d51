"""Makes an older checkpoint the newest one of its run: what `train --from` changes in HEAD."""

import logging
from collections.abc import Sequence

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.provenance import Identity
from job.checkpoints.rebuild import best_among
from job.checkpoints.records import BestEntry, CheckpointEntry, Head
from job.checkpoints.restore import read_commit, verify_objects
from job.errors import CheckpointError, ConfigError
from job.storage.object_store import ObjectStore

log = logging.getLogger(__name__)


def entry_at(head: Head, step: int, *, uri: str) -> CheckpointEntry:
    """The newest checkpoint of a step.

    Raises:
        ConfigError: HEAD lists none.
    """
    for entry in reversed(head.checkpoints):
        if entry.step == step:
            return entry
    known = ", ".join(dict.fromkeys(str(entry.step) for entry in head.checkpoints)) or "none"
    raise ConfigError(
        f"--from {step}: {uri} has no checkpoint of step {step} to resume from. There are: "
        f"{known}. Give one of these; `siamese-job checkpoints ls` describes them."
    )


def rewound(
    store: ObjectStore, head: Head, step: int, *, identity: Identity
) -> tuple[Sequence[CheckpointEntry], BestEntry | None]:
    """The checkpoints up to a step, and the best one of that time if it is still there.

    Raises:
        ConfigError: HEAD lists no checkpoint of that step.
        CheckpointError: It is damaged.
    """
    entry = entry_at(head, step, uri=store.uri)
    try:
        commit = read_commit(
            store, entry.dir, identity=identity, sha256=entry.commit_sha256
        ).record
        verify_objects(store, entry.dir, commit)
    except DamagedError as error:
        raise CheckpointError(
            f"--from {step}: {store.uri}/{entry.dir}: {error}. It must be what was committed. "
            "Nothing was changed; give another step, or restore the directory from a copy."
        ) from error
    kept = head.checkpoints[: head.checkpoints.index(entry) + 1]
    if head.best is not None and head.best.step <= step:
        return kept, head.best
    best = best_among(commit.best, kept)
    if best is None and commit.best is not None:
        facts = {"dir": commit.best.dir, "epoch": commit.best.epoch}
        log.warning("best checkpoint lost", extra=facts)
    return kept, best
