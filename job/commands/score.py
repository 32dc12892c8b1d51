"""`siamese-job score RUN_OR_EXPORT PAIRS -o OUT`: scores the pairs of a file."""

import argparse
import json
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from job.commands.models import load_model, require_another_file, with_bad_fraction
from job.commands.shared import (
    command_logs,
    open_argument,
    print_result,
    quarantine_lines,
    raising_on_sigterm,
    reads_bucket,
)
from job.config.data import Data, ImageDataConfig
from job.config.monitors import ALL_METRICS
from job.errors import ConfigError, ExitCode
from job.export.place import StoredExport, find_export
from job.scoring.output import KEY, replacing_output, require_table_name
from job.scoring.pairs_file import PairsFile, open_pairs
from job.telemetry.logs.setup import LoggingSetup
from job.telemetry.terminal import aligned_columns

if TYPE_CHECKING:  # imports TensorFlow; what can be refused is, before that
    from job.scoring.score_pairs import ScoreResult

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 10.0


def run(args: argparse.Namespace) -> ExitCode:
    """Scores.

    Raises:
        ConfigError: There is no model, or the arguments do not fit it or each other.
        DataError: The model or the data are damaged, or too many rows are bad.
        TerminatedError: SIGTERM; nothing is left behind.
    """
    require_table_name(args.out)
    for name, place in (("PAIRS", args.pairs), ("--items", args.items)):
        if place is not None:
            require_another_file(place, args.out, name=name)
    with command_logs("score") as logs, raising_on_sigterm("score"):
        stored = find_export(args.model, open_place=partial(open_argument, key="RUN_OR_EXPORT"))
        section = _decoded(with_bad_fraction(stored.manifest.data, args.max_bad_fraction))
        _require_items(stored, args.items)
        pairs = open_pairs(
            args.pairs,
            section=section,
            items=args.items,
            root=args.root,
            access=reads_bucket(),
        )
        report = _score(stored, pairs, section=section, out=args.out, logs=logs)
    if args.json:
        return print_result(json.dumps(report, indent=2, allow_nan=False) + "\n")
    return print_result(_screen(report, out=args.out) + "\n")


def _score(
    stored: StoredExport, pairs: PairsFile, *, section: Data, out: str, logs: LoggingSetup
) -> dict[str, Any]:
    with replacing_output(out, open_place=partial(open_argument, key=KEY)) as stream:
        model = load_model(stored)
        from job.scoring.score_pairs import score_pairs

        started = time.monotonic()
        result = score_pairs(
            model,
            pairs,
            section=section,
            out=out,
            stream=stream,
            progress=_progress(pairs.num_bytes, logs=logs),
        )
        seconds = time.monotonic() - started
        logs.terminal.clear_progress()
    return _report(result, threshold=model.threshold, seconds=seconds)


def _decoded(section: Data) -> Data:
    """The section of images that are used once, so decoded once."""
    if isinstance(section, ImageDataConfig):
        return section.model_copy(update={"storage": "decoded"})
    return section


def _require_items(stored: StoredExport, items: str | None) -> None:
    if stored.manifest.pairs_by_id and items is None:
        raise ConfigError(
            f"{stored.place}: the pair files of this run hold ids (data.items). Give the file "
            "that holds the items of PAIRS by their ids: --items FILE."
        )


def _progress(num_bytes: int, *, logs: LoggingSetup) -> Callable[[int, int], None]:
    """Shows a bar on a terminal, else writes a line now and then."""
    started = logged = time.monotonic()

    def show(done_bytes: int, num_rows: int) -> None:
        nonlocal logged
        now = time.monotonic()
        speed = num_rows / max(now - started, 1e-9)
        left = (num_bytes - done_bytes) * (now - started) / max(done_bytes, 1)
        if logs.terminal.has_bar:
            text = f"rows={num_rows:,} rows/s={speed:,.0f} eta={left:.0f}s"
            logs.terminal.show_progress(text, done=done_bytes, total=max(num_bytes, 1))
        elif now - logged >= _SECONDS_BETWEEN_LINES:
            logged = now
            facts = {
                "rows": num_rows,
                "rows_per_second": round(speed),
                "eta_seconds": round(left),
            }
            log.info("scoring", extra=facts)

    return show


def _report(result: "ScoreResult", *, threshold: float, seconds: float) -> dict[str, Any]:
    return {
        "pairs": result.num_pairs,
        "matches": result.num_matches,
        "items": result.num_items,
        "threshold": threshold,
        "seconds": round(seconds, 3),
        "quarantine": result.quarantine.to_json(),
        "drift": {
            drift.name: {
                "psi": drift.psi,
                "chance": drift.chance,
                "level": drift.level,
                "sentence": drift.sentence(),
            }
            for drift in result.drifts
        },
        "labels": result.label_counts,
        "metrics": result.quality,
    }


def _screen(report: dict[str, Any], *, out: str) -> str:
    pairs, matches = report["pairs"], report["matches"]
    lines = [
        f"scored {pairs:,} pairs of {report['items']:,} items in {report['seconds']:.1f} s",
        f"{matches:,} match ({matches / pairs:.1%}): their score is at least "
        f"{report['threshold']:.4f}",
    ]
    lines += [*quarantine_lines(report["quarantine"]), ""]
    lines += [drift["sentence"] for drift in report["drift"].values()]
    labels, metrics = report["labels"], report["metrics"]
    if metrics:
        rows = [
            (ALL_METRICS[name].title, f"{value:.4f}")
            for name, value in metrics.items()
            if ALL_METRICS[name].is_shown
        ]
        title = f"on {labels['labelled']:,} labelled pairs"
        lines += ["", aligned_columns((title, ""), rows)]
    elif labels["labelled"]:
        lines += ["", "the labels are all the same, so there is no quality to measure"]
    return "\n".join([*lines, "", f"written to {out}"])
