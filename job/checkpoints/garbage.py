"""Deletes what HEAD does not name; a failure to delete costs space and nothing else.

Names are never used twice, so a delete needs no precondition. The commit record is deleted
first: a directory without one is not a checkpoint.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, RESULTS, CheckpointDir, DirListing
from job.checkpoints.provenance import Identity
from job.checkpoints.records import Head
from job.checkpoints.restore import read_commit
from job.checkpoints.shards import is_resume_object
from job.errors import JobError, StopError, StorageOutageError
from job.storage.object_store import ObjectMissingError, ObjectStore

log = logging.getLogger(__name__)

_RESULT = re.compile(rf"{RESULTS}[0-9]{{12,15}}-([0-9]{{6,9}})-[0-9a-f]{{8}}/")

# Object names by checkpoint directory.
Objects = Mapping[str, Sequence[str]]


def unneeded(objects: Objects, head: Head) -> list[str]:
    """What this attempt's own directories contain in addition to what HEAD names.

    Args:
        objects: The directories that this attempt wrote or found in HEAD.
        head: HEAD as just written.

    Returns:
        Object names, each directory's commit record first.
    """
    return [name for dir in sorted(objects) for name in _unneeded_in(dir, objects[dir], head)]


def without(objects: Objects, garbage: Sequence[str]) -> dict[str, Sequence[str]]:
    """The objects that stay, by directory; directories without any are left out."""
    stays: dict[str, Sequence[str]] = {
        dir: [name for name in names if f"{dir}/{name}" not in garbage]
        for dir, names in objects.items()
    }
    return {dir: names for dir, names in stays.items() if names}


def _unneeded_in(dir: str, names: Sequence[str], head: Head) -> list[str]:
    if head.best is not None and dir == head.best.dir and not head.is_best_restorable:
        return [f"{dir}/{name}" for name in names if is_resume_object(name)]
    if dir in head.referenced_dirs:
        return []
    return [f"{dir}/{name}" for name in sorted(names, key=lambda name: name != COMMIT)]


def left_behind(
    store: ObjectStore,
    listing: DirListing,
    head: Head,
    *,
    identity: Identity,
    is_rebuilt: bool,
) -> Iterator[str]:
    """What earlier attempts left and no attempt can need any more, as names of objects.

    Directories without a commit record: the attempts before this one are fenced, and a takeover
    only adopts commits of the attempt before it. Committed directories of this run that HEAD
    does not name: the rest of a delete, or the last save of a fenced attempt; they stay if HEAD
    was rebuilt, because then it proves nothing.

    Args:
        store: The run directory.
        listing: From before HEAD was taken over.
        head: HEAD of this attempt.
        identity: The run's.
        is_rebuilt: Whether it was made from commits.
    """
    for found in (*listing.uncommitted, *listing.committed):
        if found.token >= head.token:
            continue
        names = listing.objects[found.path]
        if found.path in head.referenced_dirs or found not in listing.committed:
            yield from _unneeded_in(found.path, names, head)
        elif not is_rebuilt and _is_of_this_run(store, found, identity):
            yield from _unneeded_in(found.path, names, head)


def old_results(names: Iterable[str], head: Head) -> list[str]:
    """The results of earlier attempts, in directories of which HEAD names nothing.

    Args:
        names: Objects of the run directory; others than results are ignored.
        head: HEAD as read or just written.
    """
    matches = (_RESULT.match(name) for name in head.results.values())
    named = {found[0] for found in matches if found}
    return [
        name
        for name in names
        if (found := _RESULT.match(name))
        and int(found[1]) < head.token
        and found[0] not in named
    ]


def _is_of_this_run(store: ObjectStore, found: CheckpointDir, identity: Identity) -> bool:
    try:
        read_commit(store, found.path, identity=identity, sha256=None)
    except DamagedError:
        return False
    return True


def delete_objects(store: ObjectStore, names: Iterable[str]) -> None:
    """Deletes objects that may be gone already; logs those that it cannot delete.

    Raises:
        PreemptedError: SIGTERM arrived while the store did not answer.
        InterruptedByUserError: The same for Ctrl-C.
    """
    for name in names:
        try:
            store.delete(name, if_generation=None)
        except ObjectMissingError:
            continue
        except StopError:
            raise
        except JobError as error:
            facts = {"object": name, "reason": str(error)}
            log.warning("object not deleted", extra=facts)
            if isinstance(error, StorageOutageError):
                return  # down for the next object too; a later attempt collects the rest
