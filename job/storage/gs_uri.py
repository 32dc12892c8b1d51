"""The bucket and prefix that a `gs://` URI names.

::

    place = parse_gs_uri("gs://models/siamese/typos")
    place.bucket, place.prefix  # "models", "siamese/typos/"
"""

from dataclasses import dataclass

from job.config.places import BUCKET_NAME
from job.errors import ConfigError
from job.storage.protocol import MAX_NAME_BYTES, checked_name
from job.storage.purpose import RUNS, Purpose

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


def parse_gs_uri(uri: str, *, purpose: Purpose = RUNS) -> BucketPlace:
    """Splits `gs://bucket/prefix`; the prefix may be left out.

    Args:
        uri: The URI.
        purpose: What it was given for.

    Raises:
        ConfigError: The bucket's name or the prefix cannot be.
    """
    bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
    prefix = prefix.removesuffix("/")
    if not uri.startswith(SCHEME) or not BUCKET_NAME.fullmatch(bucket):
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
