"""The client of a bucket: the real one, or an emulator where that is allowed.

::

    host = emulator_host(os.environ, allow_emulator=config.run.allow_emulator)
    bucket = connect("models", emulator=host)
"""

import logging
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

from google.api_core.retry import retry_base
from google.auth import _exponential_backoff
from google.cloud import storage
from google.cloud.storage._media import _upload

from job.config.uris import BUCKET_NAME, scheme_of, split_bucket
from job.errors import ConfigError
from job.storage.object_store import MAX_NAME_BYTES, checked_name
from job.storage.os_errors import RUNS, MessageContext

VARIABLE = "STORAGE_EMULATOR_HOST"


def emulator_host(env: Mapping[str, str], *, allow_emulator: bool) -> str | None:
    """The address of the emulator to use instead of Cloud Storage; None for the real one.

    Args:
        env: Environment variables.
        allow_emulator: Whether the configuration allows one (`run.allow_emulator`).

    Returns:
        A URL without a slash at its end.

    Raises:
        ConfigError: The environment names one and the configuration does not allow it: what
            an emulator keeps may be gone tomorrow, and it checks no permissions.
    """
    host = env.get(VARIABLE, "").strip().rstrip("/")
    if not host:
        return None
    if not allow_emulator:
        raise ConfigError(
            f"{VARIABLE} is set, and run.allow_emulator is false. The variable sends what a "
            f"run writes to a stand-in for Cloud Storage, and is heeded only where "
            f"run.allow_emulator is true. Unset {VARIABLE} to use the real bucket, or set "
            f"run.allow_emulator to true to use the emulator."
        )
    return host if "://" in host else f"http://{host}"


def connect(bucket: str, *, emulator: str | None) -> storage.Bucket:
    """Returns the bucket's handle with credentials from the environment.

    No request goes to the bucket. Looking for credentials may ask the metadata server of the
    machine.

    Args:
        bucket: Its name.
        emulator: URL of the emulator to use instead, without any credentials.

    Raises:
        ConfigError: The process environment names an emulator and `emulator` is None: the
            client library would go there by itself, without credentials.
        google.auth.exceptions.DefaultCredentialsError: No credentials were found.
    """
    if emulator is None:
        emulator_host(os.environ, allow_emulator=False)
        client = storage.Client(project=None)
    else:
        client = storage.Client(
            project=None,
            client_options={"api_endpoint": emulator},
            use_auth_w_custom_endpoint=False,
        )
    # The library cuts its loggers off from those of the program that uses it.
    logging.getLogger("google").propagate = True
    # For the sake of traces nobody asked for, the client's first request would start a thread
    # that asks for the bucket's own metadata, with retries of its own and a permission that
    # a run does not need.
    client._bucket_metadata_cache = None
    _leave_global_generator_alone()
    return client.bucket(bucket)


def _leave_global_generator_alone() -> None:
    """Gives the libraries another random generator than Python's global one.

    They draw the boundary of each upload and the pauses before a retry. The state of the global
    generator is a part of the training state, because callbacks may use it.
    """
    own = random.SystemRandom()
    for module in (_upload, retry_base, _exponential_backoff):
        vars(module)["random"] = own


SCHEME = "gs://"


@dataclass(frozen=True)
class BucketPlace:
    """Where a store's objects are.

    Attributes:
        bucket: Name of the bucket.
        prefix: What every object name begins with: "" or a text that ends with a slash.
    """

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def full_name(self, name: str) -> str:
        """The object's name in the bucket.

        Raises:
            ValueError: It is no name for an object, alone or with the prefix before it.
        """
        full = f"{self.prefix}{checked_name(name)}"
        if len(full.encode()) > MAX_NAME_BYTES:
            raise ValueError(
                f"object name {name!r}: with the prefix of '{self.uri}' it has "
                f"{len(full.encode())} bytes, more than {MAX_NAME_BYTES}. Shorten run.root."
            )
        return full


def parse_gs_uri(uri: str, *, purpose: MessageContext = RUNS) -> BucketPlace:
    """Splits `gs://bucket/prefix`; the prefix may be left out.

    Args:
        uri: The URI.
        purpose: What it was given for.

    Raises:
        ConfigError: The bucket's name or the prefix cannot be.
    """
    bucket, prefix = split_bucket(uri)
    if scheme_of(uri) != SCHEME or not BUCKET_NAME.fullmatch(bucket):
        raise ConfigError(
            f"{purpose.key}: '{uri}' names no bucket. Allowed is gs://bucket/prefix, where the "
            f"bucket has 3 to 63 lower-case letters, digits, hyphens, underscores and dots "
            f"(222 with dots) and a letter or digit at each end. Give the name of a bucket "
            f"that exists, or a local path."
        )
    if prefix:
        try:
            checked_name(prefix)
        except ValueError as error:
            raise ConfigError(
                f"{purpose.key}: '{uri}' has a prefix no object can have ({error}) Allowed are "
                f"segments such as 'team/runs' after the bucket. Change it."
            ) from error
    return BucketPlace(bucket, f"{prefix}/" if prefix else "")
