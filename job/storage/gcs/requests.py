"""Single requests to a bucket: sent once, with a timeout, and never repeated here.

The client library's own retries and checksum verdicts are off. It would otherwise wait by its
own clock, and answer a damaged upload by deleting the object by name, whatever generation is
there by then. All failures are those of `gs_failures`::

    requests = BucketRequests(lambda: connect("models", emulator=None), timeouts=Timeouts())
    requests.stat("siamese/typos/HEAD.json")
"""

import base64
import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import requests

from job.storage.filesystem import CHUNK_BYTES, crc32c_of
from job.storage.gcs.failures import TransientError, failure_of, sorted_failures
from job.storage.object_store import ListedObject
from job.storage.os_errors import MessageContext, job_errors


class FileBytes:
    """The bytes of a file, read where they are sliced; never all of them at once.

    Args:
        file: The open file; it must not change.
        path: Its path, for messages.
        purpose: What the store it goes to is used for.
    """

    def __init__(self, file: BinaryIO, *, path: Path, purpose: MessageContext) -> None:
        self._file, self._path, self._purpose = file, path, purpose
        self._size = os.fstat(file.fileno()).st_size

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, purpose: MessageContext) -> Iterator["FileBytes"]:
        """Opens a file for as long as the block lasts."""
        with job_errors("read", path, folder=path.parent, purpose=purpose):
            file = path.open("rb", buffering=0)
        with file:
            yield cls(file, path=path, purpose=purpose)

    @property
    def crc32c(self) -> int:
        """Castagnoli CRC of all of it; reads the file."""
        starts = range(0, self._size, CHUNK_BYTES)
        return crc32c_of(self[start : start + CHUNK_BYTES] for start in starts)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._size)
        with job_errors("read", self._path, folder=self._path.parent, purpose=self._purpose):
            return os.pread(self._file.fileno(), max(0, end - start), start)


# Metadata of each object: which call wrote it. Tells one's own write from an equal one.
WRITE_ID = "siamese-write"
_CONTENT_TYPE = "application/octet-stream"
# A listing page holds at most 1000 names, whatever is asked for.
_PAGE_SIZE = 1000


@dataclass(frozen=True)
class Timeouts:
    """How long one request may stand still.

    Attributes:
        connect_seconds: For a connection to stand.
        send_seconds: For everything that an upload sends in one request; for its connection,
            too.
        read_seconds: Without a byte of the answer.
    """

    connect_seconds: float = 10.0
    send_seconds: float = 60.0
    read_seconds: float = 60.0

    @property
    def to_ask(self) -> tuple[float, float]:
        """Of a request that sends next to nothing, as `requests` takes them."""
        return self.connect_seconds, self.read_seconds

    @property
    def to_send(self) -> tuple[float, float]:
        """Of an upload.

        urllib3 sends under the timeout it connects with, and a socket takes that for the whole
        content: 8 MiB in the time for a connection need a fast link.
        Source: urllib3 2.8, `HTTPConnectionPool._make_request`; Python, `socket.sendall`.
        """
        return self.send_seconds, self.read_seconds


@dataclass(frozen=True)
class Found:
    """What the bucket says of an object.

    Attributes:
        size: Length in bytes.
        generation: Of this content.
        crc32c: Castagnoli CRC that the bucket computed.
        write_id: Which call wrote it; "" for an object that is not ours.
    """

    size: int
    generation: int
    crc32c: int
    write_id: str


@dataclass(frozen=True)
class Content:
    """What is to be written, and what is declared of it.

    Attributes:
        name: In the bucket.
        data: The bytes.
        crc32c: Castagnoli CRC of the bytes.
        write_id: Names the call that writes.
    """

    name: str
    data: bytes | FileBytes = field(repr=False)
    crc32c: int
    write_id: str


@dataclass(frozen=True)
class Page:
    """One page of a listing, with full names, and the mark of the next one ("" = none)."""

    objects: list[ListedObject]
    next_token: str


class BucketRequests:
    """What can be asked of one bucket.

    Args:
        connect: Makes the bucket's handle; called at the first request.
        timeouts: Of every request.
    """

    def __init__(self, connect: Callable[[], Any], *, timeouts: Timeouts) -> None:
        self._connect = connect
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._bucket: Any = None
        self._sessions = requests.Session()
        # The URL of an upload session is all the authority it needs; a password for the host
        # in ~/.netrc would be sent along otherwise.
        self._sessions.auth = _unchanged

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        with self._lock:
            bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.client.close()
        self._sessions.close()

    def stat(self, name: str) -> Found:
        """Asks for an object's metadata."""
        with sorted_failures():
            blob = self._handle().blob(name)
            blob.reload(timeout=self._timeouts.to_ask, retry=None)
            return _found(blob)

    def read(self, name: str, *, generation: int) -> bytes:
        """Returns the bytes of one generation as they are stored, unchecked."""
        with sorted_failures():
            blob = self._handle().blob(name, generation=generation)
            data: bytes = blob.download_as_bytes(
                raw_download=True, checksum=None, timeout=self._timeouts.to_ask, retry=None
            )
            return data

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        """Returns bytes of one generation, unchecked; fewer where the object ends before."""
        with sorted_failures():
            blob = self._handle().blob(name, generation=generation)
            data: bytes = blob.download_as_bytes(
                start=start,
                end=start + length - 1,
                raw_download=True,
                checksum=None,
                timeout=self._timeouts.to_ask,
                retry=None,
            )
            return data

    def list(self, prefix: str, *, token: str = "", limit: int = _PAGE_SIZE) -> Page:
        """Returns one page of the objects whose full names begin with `prefix`."""
        with sorted_failures():
            bucket = self._handle()
            found = bucket.client.list_blobs(
                bucket,
                prefix=prefix or None,
                page_size=limit,
                page_token=token or None,
                fields="items(name,size,generation),nextPageToken",
                timeout=self._timeouts.to_ask,
                retry=None,
            )
            page = next(found.pages, ())
            objects = [ListedObject(one.name, one.size, one.generation) for one in page]
            return Page(objects, found.next_page_token or "")

    def delete(self, name: str, *, if_generation: int) -> None:
        """Removes one generation of an object, if it is the present one."""
        with sorted_failures():
            self._handle().blob(name).delete(
                if_generation_match=if_generation, timeout=self._timeouts.to_ask, retry=None
            )

    def insert(self, content: Content, *, if_generation: int) -> Found:
        """Writes an object in one request."""
        with sorted_failures():
            blob = self._new(content)
            blob.upload_from_file(
                io.BytesIO(content.data[:]),
                size=len(content.data),
                content_type=_CONTENT_TYPE,
                if_generation_match=if_generation,
                checksum=None,
                timeout=self._timeouts.to_send,
                retry=None,
            )
            return _found(blob)

    def start_session(self, content: Content, *, if_generation: int) -> str:
        """Opens an upload in parts and returns its URL, which is a secret."""
        with sorted_failures():
            url: str = self._new(content).create_resumable_upload_session(
                content_type=_CONTENT_TYPE,
                size=len(content.data),
                if_generation_match=if_generation,
                checksum=None,
                timeout=self._timeouts.to_ask,
                retry=None,
            )
            return url

    def put(self, url: str, data: bytes, *, content_range: str) -> requests.Response:
        """Sends a part of an upload, or asks how far it has come.

        Returns:
            An answer of status 200, 201 (complete) or 308 (incomplete).
        """
        with sorted_failures():
            answer = self._sessions.put(
                url,
                data=data,
                headers={"Content-Range": content_range, "Content-Type": _CONTENT_TYPE},
                timeout=self._timeouts.to_send,
                allow_redirects=False,
            )
        if answer.status_code not in (200, 201, 308):
            raise failure_of(answer.status_code, answer.text[:1000])
        return answer

    def _handle(self) -> Any:
        with self._lock:
            if self._bucket is None:
                self._bucket = self._connect()
            return self._bucket

    def _new(self, content: Content) -> Any:
        blob = self._handle().blob(content.name)
        blob.crc32c = encoded_crc32c(content.crc32c)
        blob.metadata = {WRITE_ID: content.write_id}
        # A public object would be served from caches for an hour after it was replaced.
        # Source: https://cloud.google.com/storage/docs/consistency ("cache control").
        blob.cache_control = "no-store"
        return blob


def found_in(resource: Mapping[str, Any]) -> Found:
    """What an object's resource says, as the JSON API spells it.

    Raises:
        TransientError: It says something else. A success without it, or with a page of HTML
            in its place, comes from what stands between us and the bucket.
    """
    try:
        return Found(
            size=int(resource["size"]),
            generation=int(resource["generation"]),
            crc32c=int.from_bytes(_four_bytes(resource["crc32c"]), "big"),
            write_id=str((resource.get("metadata") or {}).get(WRITE_ID, "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TransientError("the answer describes no object") from error


def found_of(answer: requests.Response) -> Found:
    """What the answer to the last part of an upload says of the object.

    Raises:
        TransientError: Nothing; the object may be there.
    """
    with sorted_failures():
        return found_in(answer.json())


def encoded_crc32c(value: int) -> str:
    """A CRC as the JSON API spells it: four bytes, big-endian, base64."""
    return base64.b64encode(value.to_bytes(4, "big")).decode("ascii")


def _four_bytes(text: str) -> bytes:
    decoded = base64.b64decode(text, validate=True)
    if len(decoded) != 4:
        raise ValueError("a CRC has four bytes")
    return decoded


def _found(blob: Any) -> Found:
    return found_in(
        {
            "size": blob.size,
            "generation": blob.generation,
            "crc32c": blob.crc32c,
            "metadata": blob.metadata,
        }
    )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
