"""Tries candidates and words what came out; Ctrl-C keeps what was measured until then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from job.init.attempt import (
    MONITOR,
    Result,
    Trainer,
    attempt,
    best_of,
    choose_candidates,
    format_results,
)
from job.init.candidates import candidates_for, changed
from job.init.facts import Facts
from job.init.rules import Choice, as_mapping
from job.init.write import write_config


@dataclass(frozen=True)
class Tried:
    """What trying led to.

    Attributes:
        choices: Those of the best candidate.
        lines: The table and a sentence, for people and for the comment at the top.
        was_interrupted: Whether Ctrl-C left candidates out.
    """

    choices: list[Choice]
    lines: list[str]
    was_interrupted: bool = False


def try_candidates(
    choices: Sequence[Choice],
    facts: Facts,
    *,
    folder: Path,
    scratch: Path,
    seconds: float,
    report: Callable[[str], None],
    train: Callable[..., Result] | None = None,
) -> Tried:
    """Trains the candidates one after the other and chooses.

    Args:
        choices: The configuration of the rules.
        facts: What was measured.
        folder: Absolute folder of the configuration file, which data paths start from.
        scratch: An empty folder for the runs.
        seconds: Time for all of them.
        report: Prints a line while they train.
        train: Trains a candidate; None: a subprocess.

    Raises:
        ConfigError: The time is too short, or no candidate could be measured.
        KeyboardInterrupt: Ctrl-C, before any candidate was measured.
    """
    mapping = as_mapping(choices)
    config = scratch / "config.yaml"
    config.write_text(write_config(choices, title=[], schema=""), encoding="utf-8")
    candidates = choose_candidates(candidates_for(facts, chosen=mapping), seconds=seconds)
    report(f"training {len(candidates)} candidates for {seconds / 60.0:g} minutes")
    root = folder / (mapping["data"].get("root") or "")
    results: list[Result] = []
    interrupted = False
    try:
        for result in attempt(
            candidates,
            train=train or Trainer(config, root=root, scratch=scratch),
            seconds=seconds,
            report=lambda one: report(_line(one)),
        ):
            results.append(result)
    except KeyboardInterrupt:
        if not any(one.roc_auc is not None for one in results):
            raise
        interrupted = True
    return _chosen(choices, results, interrupted=interrupted)


def _chosen(
    choices: Sequence[Choice], results: Sequence[Result], *, interrupted: bool
) -> Tried:
    best = best_of(results)
    table = format_results(results, chosen=best).splitlines()
    others = sorted((r.roc_auc for r in results if r.roc_auc and r is not best), reverse=True)
    why = f"tried: {MONITOR} {best.roc_auc:.4f}"
    if others:
        why += f", the next best candidate {others[0]:.4f}"
    head = "Candidates that --try trained, each for the same time"
    if interrupted:
        head += " (stopped by Ctrl-C: some were left out)"
    lines = [f"{head}; the one with * is in this file:", *table]
    return Tried(changed(choices, best.candidate, why=why), lines, interrupted)


def _line(result: Result) -> str:
    reached = "not measured" if result.roc_auc is None else f"{MONITOR} {result.roc_auc:.4f}"
    why = f" ({result.error})" if result.error else ""
    name, seconds = result.candidate.name, result.seconds
    return f"  {name}: {reached} after {result.steps:,} steps in {seconds:.0f} s{why}"
