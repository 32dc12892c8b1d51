"""What a request to a bucket may come back with, sorted by what has to happen next.

The libraries below raise from six families of exceptions. Each becomes one of the exceptions
here, with a reason of a few words: their own texts may contain the URL of an upload session,
which is a secret, since whoever knows it may write::

    with sorted_failures():
        blob.reload(retry=None)
"""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager

import google.auth.exceptions
import requests
import urllib3
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.cloud.storage.exceptions import InvalidResponse

# Source: https://cloud.google.com/storage/docs/retry-strategy ("retryable errors"); 308 and 410
# are of an upload session that kept nothing of a part, or that has ended.
_TRANSIENT = frozenset({308, 408, 410, 429})
_URL = re.compile(r"https?://\S+")
_DAMAGED = re.compile(r"crc32c|md5|hash", re.IGNORECASE)
_PERMISSION = re.compile(r"\bstorage\.[a-z]+\.[a-zA-Z]+\b")
_MAX_WORDS = 300


class TransientError(Exception):
    """Trying again may help; the request may or may not have taken effect."""


class NotFoundError(Exception):
    """Status 404: the object or the bucket is not there."""


class ConditionNotMetError(Exception):
    """Status 412: the object's generation is not the expected one."""


class ForbiddenError(Exception):
    """Status 401 or 403, or credentials that are not there or not accepted.

    Args:
        reason: In a few words.
        permission: The one that is missing, where the bucket names it; else "".
    """

    def __init__(self, reason: str, *, permission: str = "") -> None:
        super().__init__(reason)
        self.permission = permission


class NoCredentialsError(Exception):
    """This machine has no credentials to begin with."""


class BadRequestError(Exception):
    """Another status: the request itself is wrong, and stays so.

    Args:
        reason: In a few words.
        status: Of the answer; 0: there was none.
    """

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@contextmanager
def sorted_failures() -> Iterator[None]:
    """Turns what the block raises into an exception of this module."""
    try:
        yield
    except RetryError as error:
        # The library resent a part until its time was up; the last failure tells why.
        with sorted_failures():
            raise (error.cause or ConnectionError()) from None
    except InvalidResponse as error:
        raise failure_of(error.response.status_code, error.response.text) from None
    except GoogleAPICallError as error:
        raise failure_of(int(error.code or 500), error.message or "") from None
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise NoCredentialsError(type(error).__name__) from error
    except google.auth.exceptions.GoogleAuthError as error:
        raise _of_credentials(error) from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise BadRequestError(f"{type(error).__name__}: the address cannot be used") from error
    except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
        # Covers `requests`, whose exceptions are OSErrors. Nothing is chained: see above.
        raise TransientError(type(error).__name__) from None


def failure_of(status: int, message: str) -> Exception:
    """The exception for an HTTP status that is no success.

    Args:
        status: Of the answer.
        message: What the bucket said, for people.
    """
    if status in _TRANSIENT or status >= 500:
        return TransientError(_status_words(status))
    if status == 404:
        return NotFoundError(_status_words(status))
    if status == 412:
        return ConditionNotMetError(_status_words(status))
    if status in (401, 403):
        named = _PERMISSION.search(message)
        return ForbiddenError(_status_words(status), permission=named.group() if named else "")
    if status == 400 and _DAMAGED.search(message):
        return TransientError("content arrived damaged")
    words = " ".join(_URL.sub("", message).split())
    reason = f"{_status_words(status)}: {words[:_MAX_WORDS]}"
    return BadRequestError(reason, status=status)


def _status_words(status: int) -> str:
    return f"{status} {http.client.responses.get(status, 'unknown status')}"


def _of_credentials(error: google.auth.exceptions.GoogleAuthError) -> Exception:
    # A metadata server that is slow, or not up yet in the first seconds of a pod, arrives as
    # a refresh that failed for good; only its cause tells.
    away = (google.auth.exceptions.TransportError, google.auth.exceptions.TimeoutError)
    if error.retryable or isinstance(error, away) or isinstance(error.__cause__, away):
        return TransientError(f"no token: {type(error).__name__}")
    return ForbiddenError(f"no token: {type(error).__name__}")
