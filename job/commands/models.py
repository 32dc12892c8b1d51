"""What the commands that use an exported model share: loading it, and what they refuse.

::

    require_another_file(args.pairs, args.out, name="PAIRS")
    section = with_bad_fraction(stored.manifest.data, args.max_bad_fraction)
    model = load_model(stored)
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from job.config.data import Data
from job.config.uris import is_in_bucket
from job.errors import ConfigError
from job.export.place import StoredExport
from job.telemetry.logs.setup import quieten_tensorflow

if TYPE_CHECKING:  # imports TensorFlow; what can be refused is, before that
    from job.export.loaded import ExportedModel

log = logging.getLogger(__name__)


def load_model(stored: StoredExport) -> "ExportedModel":
    """Loads an export and compares its golden pairs with what this machine makes of them.

    TensorFlow takes seconds to import: refuse everything that can be refused before.

    Raises:
        DataError: The export is damaged, or its scores are others on this machine.
    """
    quieten_tensorflow(os.environ)
    from job.export.loaded import open_export

    model = open_export(stored)
    gap = model.check_golden()
    facts = {"model": stored.place, "golden_gap": float(f"{gap:.2g}")}
    log.info("model loaded", extra=facts)
    return model


def with_bad_fraction(section: Data, share: float | None) -> Data:
    """The data section of a model with the share of bad rows that the command line allows.

    Args:
        section: The data section.
        share: `--max-bad-fraction`; None: that of the section.

    Raises:
        ConfigError: It is no share.
    """
    if share is None:
        return section
    if not 0.0 <= share <= 1.0:
        raise ConfigError(
            f"--max-bad-fraction: must be from 0 to 1, got {share}. Give the share of rows "
            "that may be bad."
        )
    changed: Data = section.model_copy(update={"max_bad_fraction": share})
    return changed


def require_another_file(place: str, out: str, *, name: str) -> None:
    """Refuses to write over a file that is read.

    Args:
        place: The file that is read.
        out: The file that is written.
        name: The argument that names `place`.

    Raises:
        ConfigError: Both are one file.
    """
    is_same = place == out
    if not is_in_bucket(place) and not is_in_bucket(out):
        is_same = Path(place).resolve() == Path(out).resolve()
    if is_same:
        raise ConfigError(
            f"OUT: {out!r} is the file of {name}, which is only read. Give another name."
        )
