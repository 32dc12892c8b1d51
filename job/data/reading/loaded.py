"""What `load_pairs` and `load_items` share: their result, and the verdict on each file."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, ImageDataConfig, SequenceDataConfig
from job.data.formats.sequences import Features
from job.data.quarantine import Quarantine, require_tolerable
from job.data.reading.given import Given, Role
from job.data.tables import Form, ItemTable, PairTable
from job.errors import ConfigError
from job.types import Split

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Loaded:
    """What the files hold; see `Dataset` for the fields it has too.

    Args:
        items: The items of all splits.
        pairs: The pairs of each split that has some.
        training_items: int64 (M,), items that training pairs are drawn from, or None.
        quarantine: Rows that were kept out, of all files.
    """

    items: ItemTable
    pairs: Mapping[Split, PairTable]
    training_items: NDArray[np.int64] | None
    quarantine: Quarantine


def form_of(section: Data, given: Mapping[Role, Given]) -> Form:
    """What the values of the items become.

    Pictures from an `.npz` are pixels already; then those from files become pixels too.

    Raises:
        ConfigError: `storage: encoded` is asked for, and an `.npz` holds no encoded pictures.
    """
    if not isinstance(section, ImageDataConfig):
        return "text" if section.kind == "text" else "sequence"
    arrays = [file.name for file in given.values() if file.form == "arrays"]
    if arrays and section.storage == "encoded":
        raise ConfigError(
            f"data.storage: encoded has no effect on {arrays[0]!r}, whose pictures are pixels "
            "already. Leave it out, or give the pictures as PNG or JPEG files."
        )
    return "decoded" if arrays else section.storage


def features_of(section: Data) -> Features:
    """How many features sequences have; of other kinds it is not asked."""
    return Features(section.num_features if isinstance(section, SequenceDataConfig) else None)


def judge(quarantine: Quarantine, file: Given, *, allowed: float) -> None:
    """Refuses a file with too many bad rows, and logs how many there are otherwise.

    Args:
        quarantine: What was kept out of it.
        file: Which one.
        allowed: `data.max_bad_fraction`.

    Raises:
        DataError: Too many.
    """
    require_tolerable(quarantine, key=file.key, file=file.name, allowed=allowed)
    if quarantine.num_bad:
        log.warning(
            "rows quarantined",
            extra={
                "split": file.key.removeprefix("data."),
                "file": file.name,
                "rows": quarantine.rows_read,
                "bad_rows": quarantine.num_bad,
                "reasons": dict(quarantine.counts),
                "first": quarantine.shown(),
            },
        )
