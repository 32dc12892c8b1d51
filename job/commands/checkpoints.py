"""`siamese-job checkpoints ls | verify | gc RUN`: what a run holds, without TensorFlow."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.examine import (
    Entry,
    RunRecords,
    commit_of,
    damage_of,
    entries_of,
    leftovers,
    read_run,
)
from job.checkpoints.garbage import delete_objects
from job.checkpoints.records import BestEntry
from job.checkpoints.restore import read_head
from job.commands.shared import open_argument, outcome_of, print_result, read_summary
from job.errors import CheckpointError, ExitCode
from job.storage.object_store import ObjectStore
from job.telemetry.terminal import aligned_columns


@dataclass(frozen=True)
class Row:
    """One checkpoint, as `ls --json` prints it; null where the commit record is damaged."""

    step: int
    epoch: int | None
    created: str | None
    bytes: int | None
    metrics: dict[str, float] | None
    finite: bool | None
    restorable: bool
    best: bool
    dir: str


def ls(args: argparse.Namespace) -> ExitCode:
    """Lists the checkpoints that HEAD names."""
    store = open_argument(args.run_uri, key="RUN")
    run = read_run(store)
    rows = [_row(store, entry, run) for entry in entries_of(run.head)]
    head = run.head
    outcome = outcome_of(head.status, read_summary(store, "summary.json"))
    if not args.json:
        return print_result(_screen(rows, run, outcome=outcome))
    report = {
        "run": head.run,
        "outcome": outcome,
        "status": head.status,
        "reason": head.reason,
        "attempt": head.token,
        "owner": asdict(head.owner),
        "written": head.written,
        "checkpoints": [asdict(row) for row in rows],
        "rejected": [asdict(one) for one in head.rejected],
    }
    return print_result(json.dumps(report, indent=2) + "\n")


def verify(args: argparse.Namespace) -> ExitCode:
    """Reads every object of every listed checkpoint.

    Raises:
        CheckpointError: Something is damaged; the report was written first.
    """
    store = open_argument(args.run_uri, key="RUN")
    run = read_run(store)
    damages = {one.dir: damage_of(store, one, run=run) for one in entries_of(run.head)}
    # A run that trains meanwhile may have deleted what HEAD named a moment ago.
    now = read_head(store)
    there = now.referenced_dirs if now is not None else run.head.referenced_dirs
    checked = {dir: damage for dir, damage in damages.items() if dir in there}
    lines = [f"{dir}  {damage or 'intact'}\n" for dir, damage in checked.items()]
    print_result("".join(lines) or "no checkpoints\n")
    bad = [dir for dir, damage in checked.items() if damage]
    if bad:
        raise CheckpointError(
            f"{store.uri}: {len(bad)} of {len(checked)} checkpoints are damaged: "
            f"{', '.join(bad)}. Every object must be what was committed. A resume uses the "
            "newest intact one; restore the others from a copy."
        )
    return ExitCode.FINISHED


def gc(args: argparse.Namespace) -> ExitCode:
    """Lists, or deletes, what HEAD does not name."""
    store = open_argument(args.run_uri, key="RUN")
    found = leftovers(store, read_run(store))
    if args.yes:
        delete_objects(store, [one.name for one in found])
    total = sum(one.size for one in found)
    done = "deleted" if args.yes else "would delete"
    lines = [f"{one.name}  {_size(one.size)}" for one in found]
    return print_result("\n".join([*lines, f"{done} {len(found)} objects, {_size(total)}", ""]))


def _row(store: ObjectStore, entry: Entry, run: RunRecords) -> Row:
    is_best = run.head.best is not None and entry.dir == run.head.best.dir
    restorable = not isinstance(entry, BestEntry)
    try:
        commit = commit_of(store, entry, run=run)
    except DamagedError:
        nothing = (None,) * 5
        return Row(entry.step, *nothing, restorable, is_best, entry.dir)
    return Row(
        commit.step,
        commit.epoch,
        commit.created,
        sum(one.size for one in commit.objects),
        dict(commit.metrics),
        commit.finite,
        restorable,
        is_best,
        entry.dir,
    )


def _screen(rows: Sequence[Row], run: RunRecords, *, outcome: str) -> str:
    head, owner = run.head, run.head.owner
    monitor = head.best.monitor if head.best else "val_loss"
    header = ("step", "epoch", "created", "size", monitor, "finite", "restorable", "")
    table = []
    for row in rows:
        value = (row.metrics or {}).get(monitor)
        table.append(
            (
                str(row.step),
                "?" if row.epoch is None else str(row.epoch),
                row.created or "damaged",
                "?" if row.bytes is None else _size(row.bytes),
                "-" if value is None else f"{value:.4f}",
                {True: "yes", False: "no", None: "?"}[row.finite],
                "yes" if row.restorable else "weights only",
                "best" if row.best else "",
            )
        )
    status = f"{outcome} ({head.reason})" if head.reason else outcome
    return "\n".join(
        [
            f"run {head.run}: {status}, attempt {head.token} on host {owner.host} (pid "
            f"{owner.pid}), written {head.written}",
            *(f"rejected {one.dir}: {one.reason}" for one in head.rejected),
            aligned_columns(header, table) if rows else "no checkpoints",
            "",
        ]
    )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.1f} kB"
