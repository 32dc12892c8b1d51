"""Checks before the first step of a new run that it has all permissions it needs.

::

    check_permissions(open_store("gs://models/typos"), nonce=secrets.token_hex(4))

A missing permission ends the run now instead of at the first save.
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
    """Creates, reads, lists and deletes one tiny object, in five requests.

    Replacing, which is part of every commit (`HEAD.json`), needs the permissions to create and
    to delete. After a refusal the object is removed as far as the store allows. After an outage
    it is left: removing it would wait for the outage again.

    Args:
        store: Store of the run.
        nonce: Name of the object, different for every call.

    Raises:
        PermissionDeniedError: One of the operations is not allowed; it is named.
        ConfigError: There is no such bucket, or it ignores conditions.
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
    """Uses every operation once; appends generations it writes, for the clean-up."""
    try:
        written = store.write(name, b"1", if_generation=0)
        generations.append(written.generation)
        _expect(store, store.read(name).data == b"1", "what was written is not read back")
        is_refused = _refuses_to_create(store, name, generations)
        _expect(store, is_refused, "conditions on a write are ignored")
        listed = [one.generation for one in store.list(name)]
        _expect(store, listed == [written.generation], "what was written is not listed")
        store.delete(name, if_generation=written.generation)
    except (ObjectMissingError, PreconditionFailedError) as error:
        raise _unfit(store, f"an object changed that nobody else knows ({error})") from error


def _refuses_to_create(store: ObjectStore, name: str, generations: list[int | None]) -> bool:
    try:
        second = store.write(name, b"2", if_generation=0)
    except PreconditionFailedError:
        return True
    generations.append(second.generation)
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
    """Removes the object as far as the store allows; the cause has been reported already.

    A delete with a known generation needs no permission to read. Not every `JobError` is
    suppressed: a request to stop is one, raised while waiting for the store.
    """
    refused = (ConfigError, PermissionDeniedError, StorageOutageError)
    with suppress(*refused, ObjectMissingError, PreconditionFailedError):
        store.delete(name, if_generation=generation)
