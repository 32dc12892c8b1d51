"""What checkpoints take from outside: clocks, random numbers, limits. Tests replace it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

UPLOADS = 4


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Surroundings:
    """What a manager takes from outside; tests replace it.

    Attributes:
        now: Monotonic clock in seconds.
        sleep: Waits for so many seconds.
        timestamp: UTC time for records, for people only.
        nonce: Returns eight fresh hexadecimal digits.
        lineage: Returns 32 fresh hexadecimal digits.
        uploads: Objects written at the same time.
        head_seconds: Least time between two writes of HEAD. Cloud Storage accepts about one
            write a second to one name.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    timestamp: Callable[[], str] = _utc_now
    nonce: Callable[[], str] = lambda: secrets.token_hex(4)
    lineage: Callable[[], str] = lambda: secrets.token_hex(16)
    uploads: int = UPLOADS
    head_seconds: float = 0.0
