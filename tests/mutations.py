"""With a step of the protocol disabled a test fails, for each step.

`python -m tests.mutations` disables one after the other, runs the test that has to notice it,
and prints what happened. `test_mutations.py` in a folder of tests lists the steps of its part;
the suite does the same.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from job.checkpoints.canonical_json import DamagedError
from job.errors import CheckpointError, ConfigError, StorageOutageError

STEPS = (
    "lineage",
    "nonce",
    "data",
    "precondition",
    "COMMIT",
    "checksum",
    "fencing",
    "deletes",
    "fsync",
    "grid",
    "order of restore",
    "state",
)
FILES = ("tests/checkpoints/test_mutations.py", "tests/training/test_mutations.py")
REPOSITORY = Path(__file__).parents[1]

# How a test fails; anything else is a fault of the mutation.
_FAILURES = (
    AssertionError,
    CheckpointError,
    ConfigError,
    DamagedError,
    StorageOutageError,
    pytest.fail.Exception,
)
_RESULT = "mutation"
_SHOWN = 48

Patch = Callable[[pytest.MonkeyPatch], object]


@dataclass(frozen=True)
class Mutation:
    """A step of the protocol that is disabled.

    Attributes:
        step: One of `STEPS`.
        disabled: What of it.
        patch: Disables it.
        test: The test that notices, with the values of its parameters.
    """

    step: str
    disabled: str
    patch: Patch
    test: Callable[..., object]

    def __str__(self) -> str:
        return f"{self.step}: {self.disabled}"

    @property
    def test_name(self) -> str:
        """The test as pytest names it, without folders."""
        if not isinstance(self.test, partial):
            return self.test.__name__
        given = [*self.test.args, *self.test.keywords.values()]
        values = (getattr(one, "__name__", str(one)) for one in given)
        return f"{self.test.func.__name__}[{'-'.join(values)}]"


def setting(owner: Any, name: str, value: object) -> Patch:
    """Replaces an attribute."""
    return lambda patch: patch.setattr(owner, name, value)


def check_noticed(mutation: Mutation, request: pytest.FixtureRequest) -> None:
    """Disables the step; the test, which passes otherwise, must fail then.

    What happened is added to the report of the test that asks for this.
    """
    assert mutation.step in STEPS
    free = [
        name
        for name, one in signature(mutation.test).parameters.items()
        if one.default is one.empty
    ]
    fixtures = {name: request.getfixturevalue(name) for name in free}
    with pytest.MonkeyPatch.context() as patch:
        mutation.patch(patch)
        with pytest.raises(_FAILURES) as caught:
            mutation.test(**fixtures)
    reason = " ".join(f"{caught.value}".split()) or caught.typename
    row = (mutation.step, mutation.disabled, mutation.test_name, reason[:_SHOWN])
    request.node.user_properties.append((_RESULT, row))


class _Table:
    """Collects what `check_noticed` reports."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.unnoticed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.rows += [row for name, row in report.user_properties if name == _RESULT][
            : report.when == "call"
        ]
        if report.failed:
            self.unnoticed.append(report.nodeid)


def main() -> int:
    """Prints the table; 1 if a step is missing from it or was disabled unnoticed."""
    table = _Table()
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
    pytest.main([*options, *(str(REPOSITORY / file) for file in FILES)], plugins=[table])
    rows = sorted(table.rows, key=lambda row: STEPS.index(row[0]))
    header = ("step", "disabled", "test that fails", "with")
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    sys.stdout.write("\n".join(["", *lines, ""]) + "\n")
    missing = [step for step in STEPS if step not in {row[0] for row in rows}]
    for problem in [*table.unnoticed, *missing]:
        sys.stdout.write(f"not shown: {problem}\n")
    noticed = f"{len(rows)} steps disabled, {len(rows)} noticed\n"
    sys.stdout.write("" if table.unnoticed or missing else noticed)
    return 1 if table.unnoticed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
