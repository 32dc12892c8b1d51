"""One object's way into a bucket: at once when small, in parts when large.

An upload in parts goes on from the last byte the bucket has, after asking for it, and starts
over when the bucket has forgotten the session. Nothing is visible before the last part::

    upload = Upload(requests, content, if_generation=0)
    retries.run("create", upload.send)

Source: https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

import re

from job.storage.gcs.failures import (
    BadRequestError,
    ConditionNotMetError,
    DamagedError,
    NotFoundError,
    TransientError,
)
from job.storage.gcs.requests import BucketRequests, Content, Found, found_of
from job.storage.gcs.retry import RetryState

# Above this an upload goes in parts of this size; parts must be multiples of 256 KiB.
PART_BYTES = 8 * 1024 * 1024
# A session that has ended may answer 400, and so may a bucket that takes no such parts.
_BAD_REQUESTS = 3
_RANGE = re.compile(r"bytes=0-(\d+)")


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
        self._url = ""
        self._sent = 0
        self._furthest = 0
        self._is_known = True
        self._bad_requests = 0

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
            found = self._sent_once(call)
        except ConditionNotMetError:
            if call.failures == 0:
                raise
            # An earlier try may have got through and its answer been lost on the way.
            own = self._own_or_none()
            if own is None:
                raise
            found = own
        if (found.size, found.crc32c) != (len(self._content.data), self._content.crc32c):
            # Ours and damaged: the next try replaces exactly that.
            self._if_generation, self._url = found.generation, ""
            raise TransientError("content was stored damaged")
        return found

    def _sent_once(self, call: RetryState) -> Found:
        if len(self._content.data) <= PART_BYTES:
            return self._requests.insert(self._content, if_generation=self._if_generation)
        if not self._url:
            self._url = self._requests.start_session(
                self._content, if_generation=self._if_generation
            )
            self._sent, self._is_known = 0, True
        found = None
        while found is None:
            found = self._part_sent(call)
        return found

    def _own_or_none(self) -> Found | None:
        try:
            found = self._requests.stat(self._content.name)
        except NotFoundError:
            return None
        return found if found.write_id == self._content.write_id else None

    def _part_sent(self, call: RetryState) -> Found | None:
        """Sends the next part, or asks which one that is; what was written once complete."""
        total = len(self._content.data)
        if self._is_known:
            part = self._content.data[self._sent : self._sent + PART_BYTES]
            content_range = f"bytes {self._sent}-{self._sent + len(part) - 1}/{total}"
        else:
            part, content_range = b"", f"bytes */{total}"
        asked, self._is_known = not self._is_known, False
        try:
            answer = self._requests.put(self._url, part, content_range=content_range)
        except NotFoundError:
            raise self._forgotten() from None
        except BadRequestError as error:
            if not self._may_have_ended(error):
                raise
            raise self._forgotten() from None
        except (DamagedError, ConditionNotMetError):
            self._url = ""
            raise
        if answer.status_code != 308:
            self._url = ""
            return found_of(answer)
        self._heed(answer.headers.get("Range", ""), call, asked=asked)
        return None

    def _heed(self, stored: str, call: RetryState, *, asked: bool) -> None:
        """Goes on from where the bucket says it is."""
        matched = _RANGE.fullmatch(stored)
        sent = int(matched.group(1)) + 1 if matched else 0
        if sent >= len(self._content.data):
            raise self._forgotten()
        if sent <= self._sent and not asked:
            raise TransientError("the bucket kept nothing of what was sent")
        self._sent, self._is_known = sent, True
        # What a new session takes once more is no progress: an upload that always fails at its
        # end would never spend its budget.
        if sent > self._furthest:
            self._furthest = sent
            call.progressed()

    def _may_have_ended(self, error: BadRequestError) -> bool:
        """Whether this may be what a session answers that has ended."""
        if error.status == 400:
            self._bad_requests += 1
            return self._bad_requests <= _BAD_REQUESTS
        return error.status == 410

    def _forgotten(self) -> TransientError:
        self._url = ""
        return TransientError("upload session lost")
