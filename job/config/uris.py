"""What the text of a place tells before anything is opened: its scheme and its bucket.

So that a bucket of another provider is refused where the configuration is checked, not on the
machine that was asked for::

    checked_place("s3://runs", allowed=RUN_PLACES)  # ValueError
"""

import re
from dataclasses import dataclass

# Source: https://cloud.google.com/storage/docs/buckets#naming. At most 63 characters between
# two dots, 222 in all.
BUCKET_NAME = re.compile(
    r"(?=.{3,222}$)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)*"
)
_BUCKETS = "gs://"
# `gs:/runs` is a slip of the hand, not a folder of that name.
_URI = re.compile(r"[a-z][a-z0-9+.-]*://|(gs|file|memory):", re.IGNORECASE)


@dataclass(frozen=True)
class Places:
    """Places that a key may name.

    Attributes:
        schemes: What a URI may begin with; a path needs none.
        words: The same in words, to be read after "must be".
    """

    schemes: tuple[str, ...]
    words: str


RUN_PLACES = Places((_BUCKETS, "file://"), "a folder, file:///folder or gs://bucket/prefix")
DATA_PLACES = Places((_BUCKETS,), "a path of this machine or gs://bucket/name")
FOLDERS = Places((), "a folder of this machine")


def checked_place(value: str, *, allowed: Places) -> str:
    """Returns `value` if it can name one of the places; whether something is there stays open.

    Raises:
        ValueError: It has another scheme, or names a bucket by a name no bucket can have.
    """
    if _URI.match(value) and not value.startswith(allowed.schemes):
        raise ValueError(f"must be {allowed.words} (got {value!r})")
    bucket = value.removeprefix(_BUCKETS).partition("/")[0]
    if value.startswith(_BUCKETS) and not BUCKET_NAME.fullmatch(bucket):
        raise ValueError(
            "must name a bucket after gs://, of 3 to 63 lower-case letters, digits, "
            f"hyphens and underscores, as in gs://my-bucket/runs (got {value!r})"
        )
    return value
