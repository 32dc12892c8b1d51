"""Requests and answers as values, and the bodies that hold metadata and content."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.gcs.objects import ApiError


@dataclass(frozen=True)
class Request:
    """One request, with its path split and its query decoded."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @classmethod
    def parsed(
        cls, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> "Request":
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        return cls(
            method,
            tuple(unquote(segment) for segment in parts.path.strip("/").split("/")),
            {name: values[-1] for name, values in query.items()},
            headers,
            body,
        )

    def number(self, name: str) -> int | None:
        value = self.query.get(name)
        return None if value is None else int(value)


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(document: Mapping[str, Any], *, status: int = 200) -> Answer:
    body = json.dumps(document).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=UTF-8"})


def error_answer(error: ApiError) -> Answer:
    problem = {"message": error.message, "domain": "global", "reason": error.reason}
    return json_answer(
        {"error": {"code": error.status, "message": error.message, "errors": [problem]}},
        status=error.status,
    )


def multipart(request: Request) -> tuple[dict[str, Any], bytes]:
    """Metadata and content of an upload in one request (RFC 2387)."""
    matched = re.search(r'boundary="?([^";]+)"?', request.headers.get("Content-Type", ""))
    if matched is None:
        raise ApiError(400, "Missing boundary in multipart upload.")
    boundary = b"--" + matched.group(1).encode()
    # Content may hold the boundary's text only at the start of a line, which senders avoid.
    parts = (b"\r\n" + request.body).split(b"\r\n" + boundary)
    if len(parts) != 4 or not parts[3].startswith(b"--"):
        raise ApiError(400, "Multipart body must have two parts.")
    metadata, content = (part.partition(b"\r\n\r\n")[2] for part in parts[1:3])
    return json.loads(metadata), content


def part_of_upload(request: Request) -> tuple[int, int | None]:
    """First byte of a part, and the total if it is known."""
    given = request.headers.get("Content-Range", "")
    matched = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", given)
    if matched is None:
        raise ApiError(400, "Invalid Content-Range.")
    first, last = int(matched.group(1)), int(matched.group(2))
    if last - first + 1 != len(request.body):
        raise ApiError(400, "Content-Range does not fit the length of the body.")
    total = matched.group(3)
    return first, None if total == "*" else int(total)


def byte_range(request: Request, size: int) -> tuple[int, int] | None:
    """First byte and end of the part of an object that is asked for; None: all of it."""
    matched = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if matched is None:
        return None
    first = int(matched.group(1))
    end = min(int(matched.group(2)) + 1, size) if matched.group(2) else size
    if first >= size:
        raise ApiError(416, "The requested range cannot be satisfied.")
    return first, end
