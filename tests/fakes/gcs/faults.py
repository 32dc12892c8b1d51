"""What shall go wrong, per operation and as often as told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# bucket: GET of the bucket. get, media: metadata and content of an object. insert: an object
# in one request. start, part: an upload in parts.
Operation = Literal["bucket", "get", "media", "insert", "start", "part", "list", "delete"]
# status: this answer instead. reset_before, reset_after: the connection breaks before or
# after the request took effect. reset_partway: a part of an upload was kept in half. stall:
# no answer. truncate: the answer ends early. flip: one bit of the content is another.
# corrupt: one bit of what was sent is another when it arrives.
Kind = Literal[
    "status",
    "reset_before",
    "reset_after",
    "reset_partway",
    "stall",
    "truncate",
    "flip",
    "corrupt",
]


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        operation: What it happens to.
        kind: What happens.
        times: How often; None: always.
        skip: How many requests pass unharmed before.
        status: Of the answer, where the kind is "status".
        name: Part of the object's name that the request must be about; "": any.
    """

    operation: Operation
    kind: Kind
    times: int | None = 1
    skip: int = 0
    status: int = 503
    name: str = ""


class Faults:
    """The script of what goes wrong, and a record of what was asked."""

    def __init__(self) -> None:
        self._script: list[Fault] = []
        self._lock = threading.Lock()
        self.requests: list[tuple[Operation, str]] = []
        self.num_met = 0
        # Asked before the script, with the number of the request, from 1.
        self.at_request: Callable[[int], Fault | None] = lambda number: None

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._script.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._script.clear()

    def next(self, operation: Operation, name: str) -> Fault | None:
        """The fault that this request meets."""
        with self._lock:
            self.requests.append((operation, name))
            fault = self.at_request(len(self.requests))
            if fault is not None:
                self.num_met += 1
                return fault
            for fault in self._script:
                if fault.operation != operation or fault.name not in name:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._script.remove(fault)
                self.num_met += 1
                return fault
        return None

    def count(self, operation: Operation) -> int:
        with self._lock:
            return sum(one == operation for one, _ in self.requests)
