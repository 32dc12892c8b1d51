"""`siamese-job match RUN_OR_EXPORT --within ITEMS -o OUT`: finds the items that match."""

import argparse
import json
import logging
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from job.commands.models import load_model, require_another_file, with_bad_fraction
from job.commands.shared import (
    command_logs,
    open_argument,
    print_result,
    quarantine_lines,
    raising_on_sigterm,
    reads_bucket,
)
from job.config.data import Data
from job.errors import ConfigError, ExitCode
from job.export.place import StoredExport, find_export
from job.scoring.collection import Collection, read_collection
from job.scoring.match_output import (
    groups_name,
    require_free_for_groups,
    require_free_to_label,
)
from job.scoring.match_report import matches_screen, to_label_screen
from job.scoring.output import KEY, replacing_outputs, require_table_name
from job.telemetry.logs.setup import LoggingSetup

log = logging.getLogger(__name__)

WITHIN, LEFT, RIGHT = "--within", "--between A", "--between B"
_SECONDS_BETWEEN_LINES = 10.0


def run(args: argparse.Namespace) -> ExitCode:
    """Matches.

    Raises:
        ConfigError: There is no model, or the arguments do not fit it or each other.
        DataError: The model or the data are damaged, or too many rows are bad.
        TerminatedError: SIGTERM; nothing is left behind.
    """
    places = _places(args)
    require_table_name(args.out)
    _require_possible(args)
    for key, place in places.items():
        for out in _outputs(args):
            require_another_file(place, out, name=key)
    with command_logs("match") as logs, raising_on_sigterm("match"), ExitStack() as outputs:
        started = time.monotonic()
        stored = find_export(args.model, open_place=partial(open_argument, key="RUN_OR_EXPORT"))
        section = _section(stored.manifest.data, args)
        if args.uncertain:
            require_free_to_label(section.columns)
        # Whether results can be written is known before the work is done.
        # OUT gets its name last: where it is new, the groups are, too.
        streams = outputs.enter_context(
            replacing_outputs(_outputs(args), open_place=partial(open_argument, key=KEY))
        )
        collections = [
            read_collection(
                place, section=section, key=key, access=reads_bucket(), root=args.root
            )
            for key, place in places.items()
        ]
        if args.groups:
            require_free_for_groups(collections)
        report = _matched(stored, collections, args, streams=streams, logs=logs)
        logs.terminal.clear_progress()
    report["seconds"] = round(time.monotonic() - started, 3)
    if args.json:
        return print_result(json.dumps(report, indent=2, allow_nan=False) + "\n")
    screen = to_label_screen if args.uncertain else matches_screen
    lines = screen(report)
    for side in filter(None, (report["left"], report["right"])):
        lines += quarantine_lines(side["quarantine"])
    lines += ["", *_written(args)]
    return print_result("\n".join(lines) + "\n")


def _matched(
    stored: StoredExport,
    collections: list[Collection],
    args: argparse.Namespace,
    *,
    streams: list[Any],
    logs: LoggingSetup,
) -> dict[str, Any]:
    model = load_model(stored)
    from job.scoring.match_files import choose_pairs_to_label, match_files
    from job.scoring.match_items import NUM_CANDIDATES, MatchOptions

    options = MatchOptions(
        threshold=model.threshold if args.threshold is None else args.threshold,
        top=args.top,
        num_candidates=args.candidates or NUM_CANDIDATES,
        method="index" if args.index else "exact" if args.exact else None,
        seed=args.seed,
    )
    sides, progress = (collections[0], collections[-1]), _Progress(logs)
    if args.uncertain:
        return choose_pairs_to_label(
            model,
            *sides,
            options=options,
            progress=progress,
            num_pairs=args.uncertain,
            out=args.out,
            stream=streams[0],
        )
    return match_files(
        model,
        *sides,
        options=options,
        progress=progress,
        outputs=list(zip(_outputs(args), streams, strict=True)),
    )


def _places(args: argparse.Namespace) -> dict[str, str]:
    """The collections by the argument that names them."""
    if args.within is not None:
        return {WITHIN: args.within}
    left, right = args.between
    return {LEFT: left, RIGHT: right}


def _outputs(args: argparse.Namespace) -> list[str]:
    return [args.out, groups_name(args.out)] if args.groups else [args.out]


def _written(args: argparse.Namespace) -> list[str]:
    names = ["written to", "groups of all items written to"]
    return [f"{what} {out}" for what, out in zip(names, _outputs(args), strict=False)]


def _section(section: Data, args: argparse.Namespace) -> Data:
    """The data section of the model with what the command line changes."""
    section = with_bad_fraction(section, args.max_bad_fraction)
    if not args.item:
        return section
    item = args.item[0] if len(args.item) == 1 else args.item
    columns = section.columns.model_copy(update={"item": item})
    changed: Data = section.model_copy(update={"columns": columns})
    return changed


def _require_possible(args: argparse.Namespace) -> None:
    """Refuses numbers out of range, and options that would have no effect.

    Raises:
        ConfigError: There is one.
    """
    threshold = args.threshold
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise ConfigError(
            f"--threshold: must be from 0 to 1, got {threshold}. Give the lowest score of a "
            "match, or leave it out: then it is the threshold of the model."
        )
    for name in ("top", "uncertain", "candidates"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(
                f"--{name}: must be 1 or more, got {value}. Leave it out for all."
            )
    if args.seed < 0:
        raise ConfigError(f"--seed: must be 0 or more, got {args.seed}.")
    if args.uncertain:
        for name in ("top", "groups", "index", "exact"):
            if getattr(args, name):
                raise ConfigError(
                    f"--{name} has no effect with --uncertain, which writes pairs to label and "
                    "no matches. Leave one of the two out."
                )
    if args.exact and args.candidates is not None:
        raise ConfigError(
            "--candidates has no effect with --exact, which compares every pair. Leave one of "
            "the two out."
        )


class _Progress:
    """Shows a bar on a terminal, else writes a line now and then.

    Args:
        logs: The terminal.
    """

    def __init__(self, logs: LoggingSetup) -> None:
        self._logs = logs
        self._stage = ""
        self._started = self._logged = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started = stage, now
        left = (total - done) * (now - self._started) / max(done, 1)
        terminal = self._logs.terminal
        if terminal.has_bar:
            text = f"{stage} items={done:,} of {total:,} eta={left:.0f}s"
            terminal.show_progress(text, done=done, total=max(total, 1))
        elif now - self._logged >= _SECONDS_BETWEEN_LINES:
            self._logged = now
            facts = {"stage": stage, "items": done, "of": total, "eta_seconds": round(left)}
            log.info("matching", extra=facts)
