"""What a report tells, gathered by `job.run.report_facts`. P pairs, S classes or items.

Numbers that `summary.json` has are taken from it, so that both always tell the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import SplitCounts
from job.evaluation.identities import Identities
from job.types import Json, Kind, Split


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """The pairs of a split and what the model makes of them.

    Attributes:
        label: bool (P,), True = match.
        score: float64 (P,), raw, in [0, 1].
        probability: float64 (P,), calibrated; equal to `score` if the calibration is `none`.
        identities: Those of the items, which are resampled.
    """

    label: NDArray[np.bool_]
    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    identities: Identities


@dataclass(frozen=True, eq=False)
class ShownItem:
    """An item of a pair that is shown; one of the three is set.

    Attributes:
        text: The text, maybe shortened.
        png: A small image.
        steps: float32 (T, F), time steps of a sequence, maybe thinned out.
    """

    text: str | None = None
    png: bytes | None = None
    steps: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class WrongPair:
    """A test pair that the model decides wrongly.

    Attributes:
        number: Position among the test pairs, from 1.
        error: `false_match` or `missed_match`.
        score: The raw score.
        left: The left item.
        right: The right item.
    """

    number: int
    error: Literal["false_match", "missed_match"]
    score: float
    left: ShownItem
    right: ShownItem


@dataclass(frozen=True)
class Lineage:
    """Where the model comes from.

    Attributes:
        uri: Location of the run.
        lineage: The random identity of the run.
        fingerprint: SHA-256 of the data.
        config_sha256: SHA-256 of the resolved configuration.
        versions: Libraries by name.
        topology: Devices, threads, batch.
    """

    uri: str
    lineage: str
    fingerprint: str
    config_sha256: str
    versions: Mapping[str, str]
    topology: Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class ReportFacts:
    """Everything that the report and the model card tell.

    Attributes:
        summary: The content of `summary.json`, without `artifacts`.
        history: Metrics of each epoch.
        monitor: The metric that chose the best epoch.
        restarts: Completed epochs, with a fraction, where each later attempt went on.
        kind: What an item is.
        test: The measured pairs of the test set.
        num_wrong: Wrong decisions on test by kind of error.
        wrong: The worst of them.
        sizes: Size of each split.
        rows_read: Rows of the data files.
        bad_rows: Rejected rows by reason.
        config: The resolved configuration.
        lineage: Where the model comes from.
        is_exported: Whether the model was exported.
    """

    summary: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    monitor: str
    restarts: Sequence[float]
    kind: Kind
    test: ScoredPairs
    num_wrong: Mapping[str, int]
    wrong: Sequence[WrongPair]
    sizes: Mapping[Split, SplitCounts]
    rows_read: int
    bad_rows: Mapping[str, int]
    config: Mapping[str, Json]
    lineage: Lineage
    is_exported: bool = True
