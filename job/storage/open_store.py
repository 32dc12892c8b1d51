"""Opens the store that a URI names: a folder or a bucket.

::

    store = open_store("runs/typos")
    store = open_store(below("gs://models", "typos"), env=os.environ)

Adding a kind of bucket takes three files: its store (`job/storage/s3.py`), an entry of
`SCHEMES` below, and its scheme in `BUCKETS` of `job/config/uris.py`. The rest of the program
uses the store's methods only: `check_permissions` calls each of them once, and `Mirror` copies
with `list`, `stat` and `read_range`.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from job.config.uris import is_in_bucket, is_path, scheme_of
from job.errors import ConfigError
from job.storage.local import FileStore
from job.storage.object_store import ObjectStore
from job.storage.os_errors import RUNS, MessageContext

log = logging.getLogger(__name__)

# In a pod nobody is there to repeat the command once the binding of its identity works.
_POD_DENIED_SECONDS = 120.0
_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class BucketAccess:
    """How a bucket is accessed.

    Attributes:
        allow_emulator: Whether it may be an emulator (`run.allow_emulator`).
        outage_budget_seconds: How long to retry while it does not answer.
        sleep: Waits between two tries; an exception ends the retries.
        env: Environment variables, which may name an emulator.
        purpose: Use of the store, for messages.
    """

    allow_emulator: bool
    outage_budget_seconds: float
    sleep: Callable[[float], None]
    env: Mapping[str, str]
    purpose: MessageContext


def _open_gcs(uri: str, access: BucketAccess) -> ObjectStore:
    # Half a second of imports that `config` and `--help` do not need.
    from job.storage.gcs.client import emulator_host
    from job.storage.gcs.retry import RetryPolicy
    from job.storage.gcs.store import GsStore

    emulator = emulator_host(access.env, allow_emulator=access.allow_emulator)
    store = GsStore(
        uri,
        emulator=emulator,
        patience=RetryPolicy(
            access.outage_budget_seconds,
            denied_at_start_seconds=_POD_DENIED_SECONDS if "JOB_UID" in access.env else 0.0,
        ),
        sleep=access.sleep,
        purpose=access.purpose,
    )
    if emulator is not None:
        log.warning("bucket emulator in use", extra={"store": uri, "host": emulator})
    return store


SCHEMES: Mapping[str, Callable[[str, BucketAccess], ObjectStore]] = {"gs://": _open_gcs}


def below(root: str, name: str) -> str:
    """The URI or folder `name` in `root`, whatever number of slashes `root` ends with.

    The slashes of `file:///` and of `/` stay; without them either would name something else.
    """
    scheme = scheme_of(root)
    rest = root.removeprefix(scheme)
    return f"{root}{name}" if scheme and not rest else f"{scheme}{rest.rstrip('/')}/{name}"


def open_store(
    uri: str,
    *,
    allow_emulator: bool = False,
    outage_budget_seconds: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
    env: Mapping[str, str] = _NO_ENVIRONMENT,
    purpose: MessageContext = RUNS,
) -> ObjectStore:
    """The store at `uri`; touches neither the store nor the network.

    Args:
        uri: A folder (relative to the working directory, or absolute), `file:///folder` or
            `gs://bucket/prefix`.
        allow_emulator: See `BucketAccess`, as the arguments that follow.
        outage_budget_seconds: In seconds.
        sleep: Takes seconds.
        env: Environment variables.
        purpose: Use of the store, for messages.

    Raises:
        ConfigError: The scheme is unknown, the URI names another host or no bucket, or `env`
            names an emulator that is not allowed.
    """
    folder = local_folder(uri, key=purpose.key)
    if folder is not None:
        return FileStore(folder)
    access = BucketAccess(allow_emulator, outage_budget_seconds, sleep, env, purpose)
    return SCHEMES[scheme_of(uri)](uri, access)


def local_folder(uri: str, *, key: str = RUNS.key) -> Path | None:
    """The folder on this machine that `uri` names; None for a bucket.

    Args:
        uri: A path, `file:///path` or `gs://bucket/prefix`.
        key: Setting or argument that names it, for messages.

    Raises:
        ConfigError: The scheme is unknown or lacks its slashes, or a file URI names another
            host or more than a path.
    """
    if is_path(uri):
        return Path(uri)
    parts = urlsplit(uri)
    is_local = parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
    if "://" in uri and parts.scheme == "file" and is_local and parts.path:
        return Path(unquote(parts.path))
    if is_in_bucket(uri):
        return None
    raise ConfigError(
        f"{key}: '{uri}' cannot be opened. Allowed are a path of this machine, file:///path "
        "with an absolute path and no host, and gs://bucket/prefix. Give one of these."
    )
