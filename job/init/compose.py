"""From what was found to the choices of a whole configuration: files and columns, then rules.

choices = compose(looked, folder=Path("."), seed=0)
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from job.config.data import TextDataConfig
from job.init.facts import Facts
from job.init.files import FoundFiles
from job.init.look import Looked, section_of
from job.init.rules import Choice, choose

# From here on, hardly a pair is ranked wrongly.
SOLVED_ROC_AUC = 0.99

# The same for every kind of data.
_MOST_BAD: float = TextDataConfig.model_fields["max_bad_fraction"].default

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


def is_too_bad(facts: Facts) -> bool:
    """Whether training refuses the data, because too many rows of a file are bad."""
    return facts.share_bad > _MOST_BAD


def obstacle(looked: Looked) -> str:
    """Why training refuses the data and what to do, in sentences; "" if it does not."""
    if not is_too_bad(looked.facts):
        return ""
    rejected = looked.quarantine
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejected.counts.items())
    return (
        f"It does not run yet: {looked.facts.share_bad:.2%} of the rows cannot be used "
        f"({reasons}; the first of them: {rejected.samples[0].detail}), and training allows "
        f"{_MOST_BAD:.2%}. Correct or remove them, or set data.max_bad_fraction to leave them "
        "out."
    )


def left_out(looked: Looked) -> list[str]:
    """A sentence about each file beside the data that is unlike them."""
    return [
        f"{name!r} beside it is left out: {why}. Rename its columns if it is a split of these "
        "data."
        for name, why in looked.unlike.items()
    ]


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
    stands = obstacle(looked) or "It runs as it is:"
    lines = ["", f"Written by `siamese-job init` from the data. {stands}", "", found]
    lines += left_out(looked)
    lines.append(
        f"To beat: a ROC-AUC of {facts.spelling:.3f} on validation, without training, by "
        f"{_BASELINES[facts.baseline]}."
    )
    if facts.spelling >= SOLVED_ROC_AUC:
        lines.append(
            "That solves these pairs, so they cannot show what a model adds. Give non-matches "
            "that resemble each other."
        )
    if facts.share_bad and not is_too_bad(facts):
        lines.append(
            f"{facts.share_bad:.2%} of the rows cannot be used and are left out: see data "
            "inspect."
        )
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
    columns = _why_columns(section.get("columns", {}), looked)
    reasons = {"columns": columns, "split": facts.split.why}
    return [
        Choice(f"data.{key}", value, reasons.get(key, "")) for key, value in section.items()
    ]


def _why_columns(columns: Mapping[str, Any], looked: Looked) -> str:
    """Why these columns are named; one that has its default name is not among them."""
    roles, reasons = looked.roles, []
    if columns.keys() - {"group", "split"}:
        reasons.append(roles.why)
    if "split" in columns:
        reasons.append(looked.facts.split.why)
    if "group" in columns and roles.rows == "pairs":
        reasons.append(f"the quality on test is reported for each {columns['group']!r}")
    elif "group" in columns:
        reasons.append(f"rows of one {columns['group']!r} stay in one split")
    return "; ".join(reasons)


def _places(files: FoundFiles, *, folder: Path) -> tuple[str | None, str]:
    """`data.root`, None if the files lie below the folder, and what precedes their names."""
    if files.folder.is_relative_to(folder):
        prefix = files.folder.relative_to(folder).as_posix()
        return None, "" if prefix == "." else f"{prefix}/"
    common = os.path.commonpath([files.folder, folder])
    near = len(Path(common).parts) > 2
    return os.path.relpath(files.folder, folder) if near else str(files.folder), ""
