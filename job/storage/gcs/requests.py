"""Single requests to a bucket: sent once, with a timeout, and never repeated here.

The client library's own retries and checksum verdicts are off. It would otherwise wait by its
own clock, and answer a damaged upload by deleting the object by name, whatever generation is
there by then. Only the parts of a large upload are resent by the library, for a few seconds.
All failures are those of `failures`::

    requests = BucketRequests(lambda: connect("models", emulator=None), timeouts=Timeouts())
    requests.stat("siamese/typos/HEAD.json")
"""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from google.cloud.storage.retry import DEFAULT_RETRY

from job.storage.gcs.failures import TransientError, sorted_failures
from job.storage.object_store import ListedObject

# Up to this size the library uploads an object in one request, above it in parts of this size.
# Source: google-cloud-storage 3.17, `blob._MAX_MULTIPART_SIZE`.
PART_BYTES = 8 << 20
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
        resend_seconds: For the library to resend a failed part of a large upload; a stop
            request is not noticed meanwhile.
    """

    connect_seconds: float = 10.0
    send_seconds: float = 60.0
    read_seconds: float = 60.0
    resend_seconds: float = 8.0

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
        stream: The bytes, from its beginning.
        size: Number of the bytes.
        crc32c: Castagnoli CRC of the bytes.
        write_id: Names the call that writes.
    """

    name: str
    stream: BinaryIO = field(repr=False)
    size: int
    crc32c: int
    write_id: str

    @property
    def is_large(self) -> bool:
        """Whether it is uploaded in parts."""
        return self.size > PART_BYTES


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
        self._resend = DEFAULT_RETRY.with_delay(maximum=4.0).with_timeout(
            timeouts.resend_seconds
        )

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        with self._lock:
            bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.client.close()

    def stat(self, name: str) -> Found:
        """Asks for an object's metadata."""
        with sorted_failures():
            blob = self._handle().blob(name)
            blob.reload(timeout=self._timeouts.to_ask, retry=None)
            return found_in(blob)

    def read(self, name: str, *, limit_bytes: int | None) -> tuple[bytes, Found]:
        """Returns the bytes of an object as they are stored, unchecked, and what it is.

        Args:
            name: In the bucket.
            limit_bytes: Bytes above which the object is cut off one byte later; None: never.
        """
        with sorted_failures():
            blob = self._handle().blob(name)
            data: bytes = blob.download_as_bytes(
                start=None if limit_bytes is None else 0,
                end=limit_bytes,
                raw_download=True,
                checksum=None,
                timeout=self._timeouts.to_ask,
                retry=None,
            )
            # Clients of Google do not rely on the checksum's header in an answer to a range.
            if blob.crc32c is None:
                return data, self.stat(name)
            return data, found_in(blob, size=len(data))

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

    def delete(self, name: str, *, if_generation: int | None) -> None:
        """Removes an object; one generation of it only, unless that is None."""
        with sorted_failures():
            self._handle().blob(name).delete(
                if_generation_match=if_generation, timeout=self._timeouts.to_ask, retry=None
            )

    def insert(self, content: Content, *, if_generation: int) -> Found:
        """Writes an object: in one request, or in parts if it is large."""
        try:
            with sorted_failures():
                blob = self._new(content)
                blob.upload_from_file(
                    content.stream,
                    rewind=True,
                    size=content.size,
                    content_type=_CONTENT_TYPE,
                    if_generation_match=if_generation,
                    checksum=None,
                    timeout=self._timeouts.to_send,
                    retry=self._resend if content.is_large else None,
                )
                return found_in(blob)
        except ValueError:
            # The library cannot continue within a part that the bucket kept only the half of.
            raise TransientError("the answer fits no upload") from None

    def _handle(self) -> Any:
        with self._lock:
            if self._bucket is None:
                self._bucket = self._connect()
            return self._bucket

    def _new(self, content: Content) -> Any:
        blob = self._handle().blob(content.name, chunk_size=PART_BYTES)
        blob.crc32c = base64.b64encode(content.crc32c.to_bytes(4, "big")).decode("ascii")
        blob.metadata = {WRITE_ID: content.write_id}
        # A public object would be served from caches for an hour after it was replaced.
        # Source: https://cloud.google.com/storage/docs/consistency ("cache control").
        blob.cache_control = "no-store"
        return blob


def found_in(blob: Any, *, size: int | None = None) -> Found:
    """What the library's object of an answer says.

    Args:
        blob: The library's object.
        size: The length where the answer does not say it.

    Raises:
        TransientError: It says something else. A success without it, or with a page of HTML
            in its place, comes from what stands between us and the bucket.
    """
    try:
        return Found(
            size=int(blob.size if size is None else size),
            generation=int(blob.generation),
            crc32c=int.from_bytes(_four_bytes(blob.crc32c), "big"),
            write_id=str((blob.metadata or {}).get(WRITE_ID, "")),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise TransientError("the answer describes no object") from error


def _four_bytes(text: str) -> bytes:
    decoded = base64.b64decode(text, validate=True)
    if len(decoded) != 4:
        raise ValueError("a CRC has four bytes")
    return decoded
