"""Which places a setting may name, and the parts of a bucket's URI.

The only module that takes a URI apart; `job/storage/open_store.py` says how each scheme is
opened. A place is checked with the configuration, before anything is opened::

    checked_place("s3://runs", allowed=RUN_PLACES)  # ValueError
    split_bucket("gs://models/runs")  # ("models", "runs")
"""

import re
from dataclasses import dataclass

# Schemes of buckets. A new one is added here and to SCHEMES in job/storage/open_store.py.
BUCKETS = ("gs://",)
# Source: https://cloud.google.com/storage/docs/buckets#naming. At most 63 characters between
# two dots, 222 in all.
BUCKET_NAME = re.compile(
    r"(?=.{3,222}$)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)*"
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# `gs:/runs` is a typing error, not a folder of that name.
_INCOMPLETE = re.compile(r"://|(gs|file|memory):", re.IGNORECASE)
_QUERY = re.compile(r"[?#]")


@dataclass(frozen=True)
class Places:
    """Places that a key may name.

    Attributes:
        schemes: Allowed schemes; a path needs none.
        words: The same in words, to be read after "must be".
    """

    schemes: tuple[str, ...]
    words: str


RUN_PLACES = Places((*BUCKETS, "file://"), "a folder, file:///folder or gs://bucket/prefix")
DATA_PLACES = Places(BUCKETS, "a path of this machine or gs://bucket/name")
FOLDERS = Places((), "a folder of this machine")


def checked_place(value: str, *, allowed: Places) -> str:
    """Returns `value` if it can name one of the places, whether or not it exists.

    Raises:
        ValueError: It has another scheme, a query or a fragment, or the bucket's name is
            invalid.
    """
    if not is_path(value) and not value.startswith("file:") and (mark := _QUERY.search(value)):
        # The message omits the rest, which may be a signature or a token.
        raise ValueError(
            "must be a URI without query and fragment, because credentials come from the "
            f"environment (got {value[: mark.start()]!r} and a {mark[0]!r}). Remove the "
            f"{mark[0]!r} and what follows"
        )
    if not is_path(value) and not value.startswith(allowed.schemes):
        raise ValueError(f"must be {allowed.words} (got {value!r})")
    if is_in_bucket(value) and not BUCKET_NAME.fullmatch(split_bucket(value)[0]):
        scheme = scheme_of(value)
        raise ValueError(
            f"must name a bucket after {scheme}, of 3 to 63 lower-case letters, digits, "
            f"hyphens and underscores, as in {scheme}my-bucket/runs (got {value!r})"
        )
    return value


def is_path(value: str) -> bool:
    """Whether `value` is a path and neither a URI nor a mistyped one."""
    return not scheme_of(value) and not _INCOMPLETE.match(value)


def is_in_bucket(value: str) -> bool:
    """Whether `value` is the URI of a bucket, a prefix or an object."""
    return value.startswith(BUCKETS)


def scheme_of(value: str) -> str:
    """The scheme of a URI with its slashes, as in "gs://"; "" for a path."""
    found = _SCHEME.match(value)
    return found[0] if found else ""


def split_bucket(uri: str) -> tuple[str, str]:
    """Bucket and prefix of a URI; the prefix has no final slash and may be empty."""
    bucket, _, prefix = uri.removeprefix(scheme_of(uri)).partition("/")
    return bucket, prefix.removesuffix("/")


def has_prefix(uri: str) -> bool:
    """Whether a bucket's URI names a prefix in addition to the bucket."""
    return bool(split_bucket(uri)[1].strip("/"))
