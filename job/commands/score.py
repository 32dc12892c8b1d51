"""`siamese-job score RUN_OR_EXPORT PAIRS -o OUT`: scores the pairs of a file."""

import argparse
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from job.commands.shared import (
    command_logs,
    open_argument,
    print_result,
    raising_on_sigterm,
    reads_bucket,
)
from job.config.data import Data, ImageDataConfig
from job.config.monitors import ALL_METRICS
from job.config.uris import is_in_bucket
from job.errors import ConfigError, ExitCode
from job.export.manifest import Manifest
from job.export.place import StoredExport, find_export
from job.scoring.output import replacing_output, require_table_name
from job.scoring.pairs_file import PairsFile, open_pairs
from job.telemetry.logs.setup import LoggingSetup, quieten_tensorflow
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
            _require_another_file(place, args.out, name=name)
    with command_logs("score") as logs, raising_on_sigterm("score"):
        stored = find_export(args.model, open_place=open_argument)
        section = _section(stored.manifest, max_bad_fraction=args.max_bad_fraction)
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
    with replacing_output(out, open_place=open_argument) as stream:
        quieten_tensorflow(os.environ)
        # TensorFlow takes seconds to import: everything that can be refused was, by now.
        from job.export.loaded import open_export
        from job.scoring.score_pairs import score_pairs

        model = open_export(stored)
        gap = model.check_golden()
        log.info(
            "model loaded", extra={"model": stored.place, "golden_gap": float(f"{gap:.2g}")}
        )
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


def _section(manifest: Manifest, *, max_bad_fraction: float | None) -> Data:
    changes: dict[str, Any] = {}
    if max_bad_fraction is not None:
        if not 0.0 <= max_bad_fraction <= 1.0:
            raise ConfigError(
                f"--max-bad-fraction: must be from 0 to 1, got {max_bad_fraction}. Give the "
                "share of rows that may be bad."
            )
        changes["max_bad_fraction"] = max_bad_fraction
    if isinstance(manifest.data, ImageDataConfig):
        changes["storage"] = "decoded"  # an image is used once: decode it once
    section: Data = manifest.data.model_copy(update=changes)
    return section


def _require_items(stored: StoredExport, items: str | None) -> None:
    if stored.manifest.pairs_by_id and items is None:
        raise ConfigError(
            f"{stored.place}: the pair files of this run hold ids (data.items). Give the file "
            "that holds the items of PAIRS by their ids: --items FILE."
        )


def _require_another_file(place: str, out: str, *, name: str) -> None:
    is_same = place == out
    if not is_in_bucket(place) and not is_in_bucket(out):
        is_same = Path(place).resolve() == Path(out).resolve()
    if is_same:
        raise ConfigError(
            f"OUT: {out!r} is {name} itself, which is only read. Give another name."
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
    if bad := report["quarantine"]["bad"]:
        counts = report["quarantine"]["counts"]
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
        lines.append(f"{bad:,} rows are bad and left out ({reasons}):")
        lines += [f"  {_shown(row)}" for row in report["quarantine"]["samples"][:3]]
    lines += ["", *(drift["sentence"] for drift in report["drift"].values())]
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


def _shown(row: dict[str, Any]) -> str:
    return f"{row['file']} {row['unit']} {row['line']}: {row['detail']}"
