"""The quality of parts of a split: of each class, group or length."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Interval = tuple[float, float]


@dataclass(frozen=True)
class SliceQuality:
    """The quality of some pairs of a split.

    Attributes:
        name: Which part, as `4` or `12-20`.
        group: What it is a part by: `class`, `group` or `length`.
        num_pairs: Its pairs.
        num_positive: Its matches.
        metrics: By name.
        intervals: The 95 % intervals of the metrics.
    """

    name: str
    group: str
    num_pairs: int
    num_positive: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
