"""A store from what a person writes in `run.root`: a folder, a bucket or another URI.

::

    store = open_store("runs/typos")
    store = open_store(below("gs://models", "typos"), env=os.environ)
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from job.errors import ConfigError
from job.storage.local import FileStore
from job.storage.memory import MemoryStore
from job.storage.object_store import ObjectStore
from job.storage.os_errors import RUNS, MessageContext

log = logging.getLogger(__name__)

_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
_SCHEMES = ("file:", "gs:", "memory:")
_IN_MEMORY = "memory://"


def below(root: str, name: str) -> str:
    """The URI or folder `name` in `root`, whatever number of slashes `root` ends with.

    The slashes of `file:///` and of `/` stay; without them either would name something else.
    """
    scheme, mark, rest = root.rpartition("://")
    if mark and not rest:
        return f"{root}{name}"
    return f"{scheme}{mark}{rest.rstrip('/')}/{name}"


def open_store(
    uri: str,
    *,
    allow_emulator: bool = False,
    outage_budget_seconds: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
    env: Mapping[str, str] = _NO_ENVIRONMENT,
    purpose: MessageContext = RUNS,
) -> ObjectStore:
    """Returns the store at `uri` without touching it, or the network.

    Args:
        uri: A folder (relative to the working directory, or absolute), `file:///folder`,
            `gs://bucket/prefix`, or `memory://`, for a new store that nobody else can open and
            that ends with the process. It has no room for a name, so a run cannot live there.
        allow_emulator: Whether a bucket may be an emulator's (`run.allow_emulator`).
        outage_budget_seconds: How long a bucket that does not answer is waited for.
        sleep: Waits for so many seconds between two tries; what it raises ends the trying.
        env: Environment variables; STORAGE_EMULATOR_HOST names the emulator of buckets.
        purpose: What the store is used for, for messages about a bucket.

    Raises:
        ConfigError: The scheme is unknown, the URI names another host or no bucket, or `env`
            names an emulator that is not allowed.
    """
    folder = local_folder(uri)
    if folder is not None:
        return FileStore(folder)
    if uri == _IN_MEMORY:
        return MemoryStore()
    # Half a second of imports that `config` and `--help` do without.
    from job.storage.gcs.client import emulator_host
    from job.storage.gcs.retry import RetryPolicy
    from job.storage.gcs.store import GsStore

    emulator = emulator_host(env, allow_emulator=allow_emulator)
    patience = RetryPolicy(outage_budget_seconds)
    store = GsStore(uri, emulator=emulator, patience=patience, sleep=sleep, purpose=purpose)
    if emulator is not None:
        log.warning("bucket emulator in use", extra={"store": uri, "host": emulator})
    return store


def local_folder(uri: str) -> Path | None:
    """The folder on this machine that `uri` names; None for a bucket or a store in memory.

    Raises:
        ConfigError: The scheme is unknown or lacks its slashes, or a file URI names another
            host or more than a path.
    """
    if "://" not in uri and not uri.startswith(_SCHEMES):
        return Path(uri)
    parts = urlsplit(uri)
    is_local = parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
    if "://" in uri and parts.scheme == "file" and is_local and parts.path:
        return Path(unquote(parts.path))
    if uri == _IN_MEMORY or uri.startswith("gs://"):
        return None
    raise ConfigError(
        f"run.root: '{uri}' cannot be opened. Allowed are a folder such as 'runs', "
        f"file:///folder with an absolute path and no host, and gs://bucket/prefix. Give one "
        f"of these."
    )
