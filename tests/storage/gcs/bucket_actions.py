"""Everything a store is asked to do, and the requests it takes: for tables of faults."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from job.storage.gcs.store import GsStore
from tests.fakes.gcs.faults import Operation

OLD = b"old" * 30
SMALL = bytes(range(200))
PART = 1024 * 1024
LARGE = bytes(range(256)) * (10 * 1024)  # two parts and a half
AWAY, BACK = "bucket does not answer, retrying", "bucket answers again"
REFUSES = "bucket refuses, retrying"


@dataclass(frozen=True)
class Action:
    """A call, the generation it needs before, and what shows that it did its work once."""

    call: Callable[[GsStore, int], Any]
    exists: bool
    writes: int
    content: bytes | None


ACTIONS = {
    "create": Action(lambda s, _: s.write("a", SMALL, if_generation=0), False, 1, SMALL),
    "create large": Action(lambda s, _: s.write("a", LARGE, if_generation=0), False, 1, LARGE),
    "replace": Action(lambda s, g: s.write("a", SMALL, if_generation=g), True, 1, SMALL),
    "replace large": Action(lambda s, g: s.write("a", LARGE, if_generation=g), True, 1, LARGE),
    "overwrite": Action(lambda s, _: s.write("a", SMALL, if_generation=None), True, 1, SMALL),
    "read": Action(lambda s, _: s.read("a").data, True, 0, OLD),
    "read limited": Action(lambda s, _: s.read("a", limit_bytes=999).data, True, 0, OLD),
    "stat": Action(lambda s, _: s.stat("a").size, True, 0, OLD),
    "list": Action(lambda s, _: [one.name for one in s.list("")], True, 0, OLD),
    "delete": Action(lambda s, g: s.delete("a", if_generation=g), True, 0, None),
    "remove": Action(lambda s, _: s.delete("a", if_generation=None), True, 0, None),
}
SENT: dict[str, tuple[Operation, ...]] = {
    "create": ("insert",),
    "create large": ("start", "part"),
    "replace": ("insert",),
    "replace large": ("start", "part"),
    "overwrite": ("get", "insert"),
    "read": ("media",),
    "read limited": ("media",),
    "stat": ("get",),
    "list": ("list",),
    "delete": ("delete",),
    "remove": ("delete",),
}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of an upload are a MiB, so that many of them cost little time."""
    monkeypatch.setattr("job.storage.gcs.requests.PART_BYTES", PART)
    monkeypatch.setattr("google.cloud.storage.blob._MAX_MULTIPART_SIZE", PART)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.name.startswith("job.storage")]
