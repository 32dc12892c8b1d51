"""Dying at every HTTP request of a run in a bucket, before it is sent and after its answer.

A call of a store is one request or several, so these are more places to die than its calls::

    with crashing_requests() as crashing:
        enumerate_crashes(make, crashing=crashing)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests.adapters

from job.storage.object_store import ObjectStore
from tests.checkpoints.enumeration import Crashing
from tests.checkpoints.fault_stores import Crash, Wrapped


class CrashingRequests(Wrapped):
    """Ends the process before or after request number `crash_at` of its calls, from 1."""

    calling: "CrashingRequests | None" = None

    def __init__(self, inner: ObjectStore, *, crash_at: int, after: bool) -> None:
        super().__init__(inner)
        self.left = crash_at
        self.after = after

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        CrashingRequests.calling = self
        try:
            return do()
        finally:
            CrashingRequests.calling = None

    def sent(self, send: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Crash
        answer = send()
        if self.left == 0:
            raise Crash
        return answer


@contextmanager
def crashing_requests() -> Iterator[Crashing]:
    """Watches what the client library sends; gives what makes stores that die."""
    send = requests.adapters.HTTPAdapter.send

    def watched(self: Any, request: Any, **options: Any) -> Any:
        store = CrashingRequests.calling
        if store is None:
            return send(self, request, **options)
        return store.sent(lambda: send(self, request, **options))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", watched)
        yield CrashingRequests
