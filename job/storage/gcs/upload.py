"""One conditional write: whether an earlier try got through, and what to do about damage.

The library uploads a large object in parts. Nothing of it is visible before the last part::

    upload = Upload(requests, content, if_generation=0)
    retries.run("create", upload.send)

Source: https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

import io
from pathlib import Path

from job.storage.gcs.failures import ConditionNotMetError, NotFoundError, TransientError
from job.storage.gcs.requests import BucketRequests, Content, Found
from job.storage.gcs.retry import RetryState
from job.storage.os_errors import MessageContext, job_errors


class LocalFile(io.FileIO):
    """A file to upload, whose own errors are not taken for those of the network.

    Args:
        path: The file; it must not change.
        purpose: What the store it goes to is used for.
    """

    def __init__(self, path: Path, *, purpose: MessageContext) -> None:
        self._path, self._purpose = path, purpose
        with job_errors("read", path, folder=path.parent, purpose=purpose):
            super().__init__(path)

    def read(self, size: int | None = -1) -> bytes:
        with job_errors("read", self._path, folder=self._path.parent, purpose=self._purpose):
            return super().read(size) or b""


class Upload:
    """The tries of one conditional write.

    Args:
        requests: The bucket.
        content: What is written.
        if_generation: Generation the object must have before; 0: it must not exist.
    """

    def __init__(
        self, requests: BucketRequests, content: Content, *, if_generation: int
    ) -> None:
        self._requests = requests
        self._content = content
        self._if_generation = if_generation

    def send(self, call: RetryState) -> Found:
        """Makes one try to write, and to find out whether an earlier one got through.

        Args:
            call: The tries so far.

        Returns:
            What the bucket has now: size and checksum are those of the content.

        Raises:
            ConditionNotMetError: The object has another generation, and not by this upload.
            TransientError: The try failed; the next one may not.
            BadRequestError: The bucket does not take such a request.
        """
        try:
            found = self._sent_once()
        except ConditionNotMetError:
            # The library may have resent parts of a large upload, which `call` does not know.
            if call.failures == 0 and not self._content.is_large:
                raise
            # An earlier try may have got through and its answer been lost on the way.
            own = self._own_or_none()
            if own is None:
                raise
            found = own
        if (found.size, found.crc32c) != (self._content.size, self._content.crc32c):
            # Ours and damaged: the next try replaces exactly that.
            self._if_generation = found.generation
            raise TransientError("content was stored damaged")
        return found

    def _sent_once(self) -> Found:
        try:
            return self._requests.insert(self._content, if_generation=self._if_generation)
        except NotFoundError:
            if not self._content.is_large:
                raise
        # A bucket that is missing and a lost upload session give the same answer.
        self._requests.list(self._content.name, limit=1)
        raise TransientError("upload session lost")

    def _own_or_none(self) -> Found | None:
        try:
            found = self._requests.stat(self._content.name)
        except NotFoundError:
            return None
        return found if found.write_id == self._content.write_id else None
