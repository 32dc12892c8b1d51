"""From what was found to the choices of a whole configuration: files and columns, then rules.

choices = compose(looked, folder=Path("."), name="pairs")
"""

import os
import re
from pathlib import Path
from typing import Any

from job.init.files import FoundFiles
from job.init.look import Looked, section_of
from job.init.rules import Choice, choose

# From here on, hardly a pair is ranked wrongly.
SOLVED_ROC_AUC = 0.99

_BASELINES = {
    "ngram_cosine": "n-grams",
    "edit_similarity": "edit distance",
    "centred_pixel_cosine": "pixels",
    "resampled_cosine": "values over time",
    "deviation_similarity": "standard deviations",
}


def compose(looked: Looked, *, folder: Path, seed: int) -> list[Choice]:
    """Every choice of the configuration, the data section first.

    Args:
        looked: What was found.
        folder: Absolute folder of the configuration file.
        seed: `run.seed`.
    """
    run = [Choice("run.name", run_name(looked.files), ""), Choice("run.seed", seed, "")]
    return [*run, *_data(looked, folder=folder), *choose(looked.facts)]


def title(looked: Looked) -> list[str]:
    """Lines that say what was found."""
    files, facts = looked.files, looked.facts
    names = ", ".join(path.name for path in files.by_split.values())
    what = "pairs of" if facts.rows == "pairs" else "labelled"
    found = f"{names}: {what} {facts.kind}s; {facts.num_rows:,} rows for training"
    if facts.matching is not None:
        found += f", {facts.matching:.0%} of them matches"
    if facts.num_classes:
        found += f", {facts.num_classes:,} classes of about {facts.class_size:,.0f}"
    lines = ["", "Written by `siamese-job init` from the data. It runs as it is:", "", found]
    lines.append(
        f"To beat: a ROC-AUC of {facts.spelling:.3f} on validation, without training, by "
        f"{_BASELINES[facts.baseline]}."
    )
    if facts.spelling >= SOLVED_ROC_AUC:
        lines.append(
            "That solves these pairs, so they cannot show what a model adds. Give non-matches "
            "that resemble each other."
        )
    if facts.share_bad:
        lines.append(f"{facts.share_bad:.2%} of the rows cannot be used: see data inspect.")
    return lines


def run_name(files: FoundFiles) -> str:
    """A name for the run: that of the file, or of its folder if the file is called `train`."""
    stem = files.train.name.split(".")[0]
    if stem.lower() in ("train", "training"):
        stem = files.folder.name
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    return name[:50].strip("-") or "run"


def _data(looked: Looked, *, folder: Path) -> list[Choice]:
    files, facts = looked.files, looked.facts
    root, prefix = _places(files, folder=folder)
    names = {split: f"{prefix}{path.name}" for split, path in files.by_split.items()}
    train = names.pop("train")
    more: dict[str, Any] = {"root": root} if root else {}
    if split := facts.split.as_section(names):
        more["split"] = split
    section = section_of(looked.roles, train=train, others=names, more=more)
    reasons = {"columns": looked.roles.why, "split": facts.split.why}
    return [
        Choice(f"data.{key}", value, reasons.get(key, "")) for key, value in section.items()
    ]


def _places(files: FoundFiles, *, folder: Path) -> tuple[str | None, str]:
    """`data.root`, None if the files lie below the folder, and what precedes their names."""
    if files.folder.is_relative_to(folder):
        prefix = files.folder.relative_to(folder).as_posix()
        return None, "" if prefix == "." else f"{prefix}/"
    common = os.path.commonpath([files.folder, folder])
    near = len(Path(common).parts) > 2
    return os.path.relpath(files.folder, folder) if near else str(files.folder), ""
