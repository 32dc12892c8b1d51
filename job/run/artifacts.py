"""What a run leaves in its directory in addition to checkpoints, and the one way to write it.

============================  ==================================================
file                          content
============================  ==================================================
summary.json                  outcome, metrics, threshold; also after a failure
history.json                  metrics of each epoch
quarantine.json               rejected rows
activations/epoch-NNNN.npz    activations of one validation pair, if configured
export/                       the exported model, if enabled
report.html                   the report of a finished run
MODEL_CARD.md                 what the model is for and how good it is
events/                       event files for TensorBoard, if configured
attempts/                     where each later attempt went on
============================  ==================================================

What a finished run leaves is written under a unique name first, which HEAD names; the names
above are copies of it.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from job.checkpoints.fenced_files import FencedFiles
from job.data.quarantine import Quarantine
from job.errors import DiskFullError
from job.types import Json

SUMMARY = "summary.json"
HISTORY = "history.json"
QUARANTINE = "quarantine.json"
REPORT = "report.html"
CARD = "MODEL_CARD.md"
ATTEMPTS = "attempts"
EXPORT = "export"  # `job.export.writer.FOLDER`, which needs TensorFlow
_QUARANTINE_SCHEMA = 1
_RESTART = re.compile(rf"{ATTEMPTS}/\d{{6,}}-at-step-(\d{{12,}})\.json")
# Numbers of a list that `json.dumps` has put on lines of their own; no string has a line break.
_NUMBERS = re.compile(r"\[\n\s+(-?\d[^\[\]{}\"]*?)\n\s+\]")


class RunArtifacts:
    """Writes files of the run directory while this process holds the run.

    Every method raises FencedError if a newer attempt holds the run.

    Args:
        files: From `RunCheckpointer.files`.
    """

    def __init__(self, files: FencedFiles) -> None:
        self._files = files

    def publish(self, files: Mapping[str, bytes], *, directory: str) -> dict[str, str]:
        """Writes results under unique names and replaces their copies under fixed names.

        Args:
            files: Content by fixed name.
            directory: From `RunCheckpointer.results_directory`.

        Returns:
            Unique name of each file, for HEAD.

        Raises:
            DiskFullError: There is no space for them.
        """
        try:
            return self._files.publish(files, directory=directory)
        except DiskFullError as error:
            if not any(name.startswith(f"{EXPORT}/") for name in files):
                raise
            raise DiskFullError(
                f"{error} Or do not export the model, which is stored twice (export.enabled)."
            ) from error

    def write_summary(self, content: Mapping[str, Any]) -> None:
        """Writes `summary.json` of an attempt that did not finish the run."""
        self._files.write(SUMMARY, encode_summary(content))

    def note_restart(self, attempt: int, *, step: int) -> None:
        """Remembers where an attempt went on; the name tells it, so that a listing suffices."""
        content = {"attempt": attempt, "global_step": step}
        name = f"{ATTEMPTS}/{attempt:06d}-at-step-{step:012d}.json"
        self._files.create(name, f"{json.dumps(content)}\n".encode())

    def restarts(self) -> list[int]:
        """Optimizer steps where each later attempt went on, in the order of attempts."""
        found = map(_RESTART.fullmatch, self._files.list(f"{ATTEMPTS}/"))
        return [int(one[1]) for one in found if one]

    def write_quarantine(self, quarantine: Quarantine) -> None:
        """Writes `quarantine.json`; also without rejected rows, which is worth knowing too."""
        rows = cast(Mapping[str, Json], quarantine.to_json())
        content = {"schema": _QUARANTINE_SCHEMA, **rows}
        self._files.create(QUARANTINE, f"{json.dumps(content, indent=1)}\n".encode())


def encode_summary(content: Mapping[str, Any]) -> bytes:
    """`summary.json` as bytes; a list of numbers is one line."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    text = _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    return f"{text}\n".encode()


def encode_history(history: Sequence[Mapping[str, float]]) -> bytes:
    """`history.json` as bytes; null stands for NaN and infinity."""
    epochs = [
        {name: value if math.isfinite(value) else None for name, value in epoch.items()}
        for epoch in history
    ]
    # Sorted: an epoch from a checkpoint has its names in another order.
    return f"{json.dumps(epochs, indent=1, sort_keys=True)}\n".encode()
