"""Proves, before the first step, that a store lets a run do all it will have to do.

::

    check_permissions(open_store("gs://models/typos"), nonce=secrets.token_hex(4))

A permission that is missing is said now, and not after an hour of training at the first save.
"""

from contextlib import suppress

from job.errors import ConfigError, PermissionDeniedError, StorageOutageError
from job.storage.object_store import (
    ObjectMissingError,
    ObjectStore,
    PreconditionFailedError,
)

FOLDER = "access-check"


def check_permissions(store: ObjectStore, *, nonce: str) -> None:
    """Creates, reads, replaces, lists and deletes one tiny object.

    Replacing is part of every commit (`HEAD.json`) and needs the permission to delete, so a
    run that may not delete is refused as well. After a refusal the object is removed as far as
    the store allows. After an outage it is left: removing it would wait for all of that again.

    Args:
        store: Where the run is to live.
        nonce: Names the object; fresh for every call, so that nobody else's is met.

    Raises:
        PermissionDeniedError: One of the operations is not allowed; it is named.
        ConfigError: There is no such bucket, or it does not keep to what it promises.
        StorageOutageError: The store does not answer.
    """
    name = f"{FOLDER}/{nonce}"
    generations: list[int | None] = [None]
    try:
        _use(store, name, generations)
    except (ConfigError, PermissionDeniedError):
        _remove(store, name, generations[-1])
        raise


def _use(store: ObjectStore, name: str, generations: list[int | None]) -> None:
    """Does everything once, and enters what it writes for the clean-up after a failure."""
    try:
        first = store.write(name, b"1", if_generation=0)
        generations.append(first.generation)
        _expect(store, store.read(name).data == b"1", "what was written is not read back")
        second = store.write(name, b"2", if_generation=first.generation)
        generations.append(second.generation)
        is_refused = _refuses_to_create(store, name, generations)
        _expect(store, is_refused, "conditions on a write are ignored")
        listed = [one.generation for one in store.list(name)]
        _expect(store, listed == [second.generation], "what was written is not listed")
        store.delete(name, if_generation=second.generation)
        _expect(store, store.stat(name) is None, "what was deleted is still there")
    except (ObjectMissingError, PreconditionFailedError) as error:
        raise _unfit(store, f"an object changed that nobody else knows ({error})") from error


def _refuses_to_create(store: ObjectStore, name: str, generations: list[int | None]) -> bool:
    try:
        third = store.write(name, b"3", if_generation=0)
    except PreconditionFailedError:
        return True
    generations.append(third.generation)
    return False


def _expect(store: ObjectStore, is_so: bool, problem: str) -> None:
    if not is_so:
        raise _unfit(store, problem)


def _unfit(store: ObjectStore, problem: str) -> ConfigError:
    return ConfigError(
        f"{store.uri}: {problem}. A run needs a store that keeps what it is given and heeds "
        f"conditions, as Cloud Storage does. Choose another one (run.root)."
    )


def _remove(store: ObjectStore, name: str, generation: int | None) -> None:
    """Leaves nothing behind as far as the store allows; what went wrong is said already.

    With the generation, where it is known: that needs no permission to read. Not every
    `JobError` is suppressed: a request to stop arrives as one, out of a wait for the store.
    """
    refused = (ConfigError, PermissionDeniedError, StorageOutageError)
    with suppress(*refused, ObjectMissingError, PreconditionFailedError):
        store.delete(name, if_generation=generation)
