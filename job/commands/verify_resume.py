"""`siamese-job verify-resume CONFIG`: proves on a user's own run that kills change no bit."""

import argparse
import logging
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from job.commands.shared import logs_on_stderr, print_result, raising_on_sigterm
from job.config.loader.load_config import load_config
from job.errors import ConfigError, ExitCode
from job.run.verify_resume.suspects import suspects
from job.run.verify_resume.verify import Proof, verify_resume
from job.telemetry.terminal import aligned_columns

log = logging.getLogger(__name__)

_SHOWN_DIFFERENCES = 5


def run(args: argparse.Namespace) -> ExitCode:
    """Answers "yes" with exit code 0 and "no" with 1."""
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    _require_positive(args.minutes, "--minutes")
    if args.kills is not None:
        _require_positive(args.kills, "--kills")
    with (
        # The process that trains is ended, and the scratch folder removed, also after SIGTERM.
        raising_on_sigterm("verify-resume"),
        logs_on_stderr(loaded.config, level="INFO"),
        _scratch(args.scratch, keep=args.keep) as folder,
    ):
        proof = verify_resume(
            loaded,
            sets=args.set,
            scratch=folder,
            minutes=args.minutes,
            num_kills=args.kills,
            rng=random.Random(),
        )
        causes = []
        if proof.comparison.differences:
            causes = suspects(loaded.config.callbacks.custom, folder=loaded.folder)
    kept = [f"kept in {folder}"] if args.keep else []
    lines = [*_table(proof), "", *_verdict(proof, causes=causes), *kept, ""]
    print_result("\n".join(lines))
    return ExitCode.UNEXPECTED if proof.comparison.differences else ExitCode.FINISHED


def _require_positive(value: float, flag: str) -> None:
    if not value > 0:
        raise ConfigError(f"{flag} {value:g}: must be larger than 0. Raise it.")


@contextmanager
def _scratch(root: str | None, *, keep: bool) -> Iterator[Path]:
    if root is not None and not Path(root).is_dir():
        raise ConfigError(f"--scratch {root}: must be an existing folder. Create it first.")
    folder = Path(tempfile.mkdtemp(prefix="siamese-verify-resume-", dir=root)).absolute()
    log.info("scratch folder", extra={"folder": str(folder), "kept": keep})
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _table(proof: Proof) -> list[str]:
    size = proof.size
    header = ("run", "attempt", "ended by", "resumed at", "step", "seconds")
    numbered = [("undisturbed", 1, proof.reference)]
    numbered += [("killed", number, one) for number, one in enumerate(proof.attempts, start=1)]
    rows = [
        (
            run,
            str(number),
            one.ending,
            str(one.resumed_at),
            str(one.step),
            f"{one.seconds:.1f}",
        )
        for run, number, one in numbered
    ]
    return [
        f"a copy of the run: {size.epochs} epochs of at most {size.steps_per_epoch} steps, "
        f"{size.validation_pairs} validation pairs",
        "",
        aligned_columns(header, rows),
    ]


def _verdict(proof: Proof, *, causes: Sequence[str]) -> list[str]:
    found = proof.comparison
    ends = Counter(one.ending for one in proof.attempts[:-1])
    how = ", ".join(f"{count} x {ending}" for ending, count in sorted(ends.items()))
    after = f"after {proof.num_kills} kills ({how}) in {proof.seconds:.0f} s"
    if not found.differences:
        return [
            f"yes: {after}, all {found.num_variables} variables, the state of "
            f"{found.num_callbacks} callbacks and the history of {found.num_epochs} epochs are "
            "equal bit for bit."
        ]
    shown = found.differences[:_SHOWN_DIFFERENCES]
    more = len(found.differences) - len(shown)
    return [
        f"no: {after}, the states differ. The first difference: {shown[0]}",
        *(f"  then {line}" for line in shown[1:]),
        *([f"  and {more} more"] if more else []),
        *(f"possible cause: custom callback {line}" for line in causes),
    ]
