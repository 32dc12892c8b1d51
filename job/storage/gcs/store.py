"""Objects in a bucket of Google Cloud Storage.

::

    store = GsStore("gs://models/siamese/typos")
    store.write("HEAD.json", b"{}", if_generation=0)

Opening one costs nothing; the first call looks for credentials and the bucket. Every call
waits through an outage as long as `RetryPolicy` allows. An answer that was lost is no
failure: a write that is found to have got through counts as done, and so does a delete.

Every write is sent with the generation it expects, also where the caller expects none. A
request that a time-out left behind in the network could otherwise arrive after later writes
and undo them. A delete without a generation is for names that are never used again.
"""

import io
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from job.errors import ConfigError, StorageOutageError
from job.storage.filesystem import chunks_of, crc32c_of
from job.storage.gcs.client import connect, parse_gs_uri
from job.storage.gcs.failures import (
    BadRequestError,
    ConditionNotMetError,
    NotFoundError,
    TransientError,
)
from job.storage.gcs.requests import BucketRequests, Content, Found, Page
from job.storage.gcs.retry import Retries, RetryPolicy, RetryState, jitter
from job.storage.gcs.upload import LocalFile, Upload
from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectTooLargeError,
    PreconditionFailedError,
    StoredObject,
    checked_name,
    checked_prefix,
    checked_range,
)
from job.storage.os_errors import RUNS, MessageContext

# An object may be replaced between the look at its generation and the write that expects it;
# more often is no coincidence.
_CHANGE_TRIES = 5


class GsStore:
    """An `ObjectStore` in a bucket.

    Args:
        uri: `gs://bucket/prefix`; the prefix may be left out.
        emulator: URL of a stand-in for Cloud Storage, used without credentials; None: the
            real one, with credentials from the environment.
        patience: How long a bucket that does not answer is waited for.
        monotonic: Clock in seconds.
        sleep: Waits for so many seconds.
        uniform: A random number between two bounds.
        purpose: What the bucket is used for, for messages.

    Raises:
        ConfigError: The URI names no bucket.
    """

    def __init__(
        self,
        uri: str,
        *,
        emulator: str | None = None,
        patience: RetryPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = jitter,
        purpose: MessageContext = RUNS,
    ) -> None:
        self._place = place = parse_gs_uri(uri, purpose=purpose)
        self._purpose = purpose
        patience = patience or RetryPolicy()
        self._requests = BucketRequests(
            lambda: connect(place.bucket, emulator=emulator),
            timeouts=patience.timeouts,
        )
        self._retries = Retries(
            place.uri,
            patience=patience,
            monotonic=monotonic,
            sleep=sleep,
            uniform=uniform,
            purpose=purpose,
        )
        self._bucket_is_known = False

    @property
    def uri(self) -> str:
        return self._place.uri

    def close(self) -> None:
        """Closes the connections; the store stays usable and opens new ones when it must.

        For tests, which open many: a program has one store for as long as its process lasts,
        and the end of that closes them.
        """
        self._requests.close()

    def read(self, name: str, *, limit_bytes: int | None = None) -> StoredObject:
        full = self._place.full_name(name)
        try:
            return self._retries.run("read", lambda call: self._read_once(full, limit_bytes))
        except NotFoundError:
            self._require_bucket()
            raise ObjectMissingError(name) from None

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        full = self._place.full_name(name)

        def attempt(call: RetryState) -> bytes:
            try:
                data = self._requests.read_range(
                    full, start=start, length=length, generation=generation
                )
            except BadRequestError as error:
                if error.status != 416:  # the range begins behind the end
                    raise
                data = b""
            ends = len(data) < length and self._requests.stat(full).size < start + length
            if len(data) != length and not ends:
                raise TransientError("a part arrived that has another length")
            return data

        try:
            return checked_range(name, self._retries.run("read", attempt), length)
        except NotFoundError:
            self._require_bucket()
            raise ObjectMissingError(name) from None

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        stream = io.BytesIO(data)
        return self._write(name, stream, google_crc32c.value(data), if_generation)

    def write_file(self, name: str, path: Path, *, if_generation: int | None) -> ObjectStat:
        with LocalFile(path, purpose=self._purpose) as file:
            return self._write(name, file, crc32c_of(chunks_of(file)), if_generation)

    def _write(
        self, name: str, stream: BinaryIO, crc32c: int, if_generation: int | None
    ) -> ObjectStat:
        full = self._place.full_name(name)
        size = stream.seek(0, os.SEEK_END)
        content = Content(full, stream, size, crc32c, secrets.token_hex(8))
        expected = if_generation or 0
        for _ in range(_CHANGE_TRIES):
            upload = Upload(self._requests, content, if_generation=expected)
            try:
                operation = "replace" if expected else "create"
                return _stat(name, self._retries.run(operation, upload.send))
            except NotFoundError:
                raise self._no_bucket() from None
            except ConditionNotMetError:
                if if_generation is not None:
                    raise PreconditionFailedError(
                        f"{self.uri}/{name}: its generation is not {if_generation}"
                    ) from None
            expected = self._generation(name)
        raise StorageOutageError(
            f"{self.uri}/{name} changed {_CHANGE_TRIES} times just before it was to be "
            f"replaced. One process at a time may write there. Stop the other one, and start "
            f"again: {self._purpose.afterwards}."
        )

    def list(self, prefix: str) -> list[ListedObject]:
        checked_prefix(prefix)
        found: list[ListedObject] = []
        token = ""
        while True:
            page = self._page(f"{self._place.prefix}{prefix}", token)
            found.extend(page.objects)
            token = page.next_token
            if not token:
                break
        start = len(self._place.prefix)
        own = [ListedObject(one.name[start:], one.size, one.generation) for one in found]
        # Consoles and file-system adapters leave objects such as "ckpt/" for folders.
        return sorted((one for one in own if _is_name(one.name)), key=lambda one: one.name)

    def delete(self, name: str, *, if_generation: int | None) -> None:
        full = self._place.full_name(name)

        def attempt(call: RetryState) -> None:
            try:
                self._requests.delete(full, if_generation=if_generation)
            except (NotFoundError, ConditionNotMetError) as refused:
                # A bucket may say 412 of an object that is not there at all.
                if isinstance(refused, ConditionNotMetError) and self._exists(full):
                    raise
                # Gone already: by an earlier try whose answer was lost, as far as one can know.
                if call.failures == 0:
                    raise NotFoundError(str(refused)) from None

        try:
            self._retries.run("delete", attempt)
        except NotFoundError:
            self._require_bucket()
            raise ObjectMissingError(name) from None
        except ConditionNotMetError:
            raise PreconditionFailedError(
                f"{self.uri}/{name}: its generation is not {if_generation}"
            ) from None

    def stat(self, name: str) -> ObjectStat | None:
        full = self._place.full_name(name)
        try:
            found = self._retries.run("stat", lambda call: self._requests.stat(full))
        except NotFoundError:
            self._require_bucket()
            return None
        return _stat(name, found)

    def _read_once(self, full: str, limit_bytes: int | None) -> StoredObject:
        try:
            data, found = self._requests.read(full, limit_bytes=limit_bytes)
        except BadRequestError as error:
            if error.status != 416:  # an empty object has no range
                raise
            data, found = b"", self._requests.stat(full)
        if limit_bytes is not None and len(data) > limit_bytes:
            raise ObjectTooLargeError(f"{full}: larger than the limit of {limit_bytes}")
        if google_crc32c.value(data) != found.crc32c:
            raise TransientError("content arrived damaged")
        return StoredObject(data, found.generation)

    def _exists(self, full: str) -> bool:
        try:
            self._requests.stat(full)
        except NotFoundError:
            return False
        return True

    def _generation(self, name: str) -> int:
        found = self.stat(name)
        return 0 if found is None else found.generation

    def _page(self, prefix: str, token: str) -> Page:
        try:
            page = self._retries.run(
                "list", lambda call: self._requests.list(prefix, token=token)
            )
        except NotFoundError:
            raise self._no_bucket() from None
        self._bucket_is_known = True
        return page

    def _require_bucket(self) -> None:
        """Makes sure of the bucket of an object that is not there: its answer does not tell.

        Raises:
            ConfigError: There is no such bucket.
        """
        if not self._bucket_is_known:
            self._page(self._place.prefix, "")

    def _no_bucket(self) -> ConfigError:
        return ConfigError(
            f"{self.uri}: there is no bucket '{self._place.bucket}'. It must exist; it is "
            f"never made here. Check the name ({self._purpose.key}), or create it."
        )


def _stat(name: str, found: Found) -> ObjectStat:
    return ObjectStat(name, found.size, found.generation, found.crc32c)


def _is_name(name: str) -> bool:
    try:
        checked_name(name)
    except ValueError:
        return False
    return True
