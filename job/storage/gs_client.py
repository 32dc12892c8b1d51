"""The client of a bucket: the real one, or an emulator where that is allowed.

::

    host = emulator_host(os.environ, allow_emulator=config.run.allow_emulator)
    bucket = connect("models", emulator=host)
"""

import logging
import os
from collections.abc import Mapping

from google.cloud import storage

from job.errors import ConfigError

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
    return client.bucket(bucket)
