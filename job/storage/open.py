"""A store from what a person writes in `run.root`: a folder or a URI.

::

    store = open_store("runs/typos")
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from job.errors import ConfigError
from job.storage.file import FileStore
from job.storage.memory import MemoryStore
from job.storage.protocol import ObjectStore


def open_store(uri: str) -> ObjectStore:
    """Returns the store at `uri` without touching it.

    Args:
        uri: A folder (relative to the working directory, or absolute), `file:///folder`, or
            `memory://` for a new store that ends with the process.

    Raises:
        ConfigError: The scheme is unknown or not built in, or the URI names another host.
    """
    if "://" not in uri:
        return FileStore(Path(uri))
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FileStore(Path(unquote(parts.path)))
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "gs":
        raise ConfigError(
            f"run.root: '{uri}' is a bucket, and buckets are not built in yet. Allowed are a "
            f"folder and file:///folder. Give a folder."
        )
    raise ConfigError(
        f"run.root: '{uri}' cannot be opened. Allowed are a folder such as 'runs', and "
        f"file:///folder with an absolute path and no host. Give one of these."
    )
