"""What each failure of the libraries below means to a run."""

import google.auth.exceptions as auth
import pytest
import requests
import urllib3
from google.api_core.exceptions import RetryError, from_http_status
from google.cloud.storage.exceptions import InvalidResponse

from job.storage.gcs.failures import (
    BadRequestError,
    ConditionNotMetError,
    ForbiddenError,
    NoCredentialsError,
    NotFoundError,
    TransientError,
    failure_of,
    sorted_failures,
)


def test_refusal_carries_its_status() -> None:
    refused = failure_of(413, "too large")
    assert isinstance(refused, BadRequestError)
    assert refused.status == 413
    assert str(refused) == "413 Request Entity Too Large: too large"


def slow_metadata_server() -> auth.RefreshError:
    error = auth.RefreshError("upload_id=secret")
    error.__cause__ = auth.TransportError("timed out")
    return error


def answer_503() -> requests.Response:
    answer = requests.Response()
    answer.status_code = 503
    return answer


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (from_http_status(503, "x"), TransientError, "503 Service Unavailable"),
        (from_http_status(429, "x"), TransientError, "429 Too Many Requests"),
        (from_http_status(408, "x"), TransientError, "408 Request Timeout"),
        (from_http_status(404, "x"), NotFoundError, "404 Not Found"),
        (from_http_status(412, "x"), ConditionNotMetError, "412 Precondition Failed"),
        (from_http_status(401, "x"), ForbiddenError, "401 Unauthorized"),
        (from_http_status(403, "lacks storage.objects.get"), ForbiddenError, "403 Forbidden"),
        (from_http_status(400, "Provided CRC32C"), TransientError, "content arrived damaged"),
        (
            from_http_status(400, "User project\n is missing"),
            BadRequestError,
            "400 Bad Request",
        ),
        (from_http_status(302, "x"), BadRequestError, "302 Found"),
        (
            from_http_status(413, "PUT https://h/?upload_id=secret: too large"),
            BadRequestError,
            "413 Request Entity Too Large: PUT",
        ),
        (from_http_status(410, "x"), TransientError, "410 Gone"),
        (from_http_status(308, "x"), TransientError, "308 Permanent Redirect"),
        (InvalidResponse(answer_503(), "secret"), TransientError, "503 Service Unavailable"),
        (
            RetryError("secret", InvalidResponse(answer_503(), "secret")),
            TransientError,
            "503 Service Unavailable",
        ),
        (RetryError("secret", requests.ReadTimeout("secret")), TransientError, "ReadTimeout"),
        (requests.ConnectionError("https://h/?upload_id=secret"), TransientError, "Connection"),
        (requests.ReadTimeout("https://h/?upload_id=secret"), TransientError, "ReadTimeout"),
        (requests.exceptions.InvalidURL("secret"), BadRequestError, "InvalidURL"),
        (urllib3.exceptions.ProtocolError("secret"), TransientError, "ProtocolError"),
        (ConnectionResetError("secret"), TransientError, "ConnectionResetError"),
        (auth.TransportError("secret"), TransientError, "no token: TransportError"),
        (auth.RefreshError("secret", retryable=True), TransientError, "no token"),
        (auth.RefreshError("secret"), ForbiddenError, "no token: RefreshError"),
        (slow_metadata_server(), TransientError, "no token: RefreshError"),
        (auth.DefaultCredentialsError("secret"), NoCredentialsError, ""),
    ],
)
def test_failure_is_sorted_by_what_has_to_happen_next(
    raised: Exception, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught, sorted_failures():
        raise raised
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
