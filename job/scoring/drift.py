"""How far new data are from what the model was tested on. K bins, N numbers.

The measure is the population stability index (PSI), the symmetric Kullback-Leibler divergence
of two histograms: 0 if they are equal, and by custom a clear change from 0.25 on. Chance alone
makes it larger than 0, the more so the fewer the numbers, so a change is called one only if it
is beyond that as well.

Source: Yurdakul, Statistical Properties of Population Stability Index, 2018: for N and M
numbers of one distribution, PSI / (1 / N + 1 / M) has about the chi-squared distribution with
K - 1 degrees of freedom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.pipeline.collators import Collator
from job.export.reference import Histogram, Reference, measures

SMALL, LARGE = 0.1, 0.25
# Standard normal quantile of 0.999: one false alarm in a thousand.
_NORMAL_QUANTILE = 3.09
_PRIOR = 0.5

# What each distribution is of, and what it may mean that it has changed.
_MEANINGS = {
    "scores": (
        "scores",
        "the share of matches differs, or the pairs do; the threshold may no longer be right",
    ),
    "lengths": ("lengths of the items", "the items are of another kind than those of training"),
    "unknown": (
        "shares of unknown tokens",
        "the items hold characters or words that training did not show",
    ),
}


@dataclass(frozen=True)
class Drift:
    """The change of one distribution.

    Attributes:
        name: `scores`, `lengths` or `unknown`.
        psi: The measure.
        chance: What it stays below in 999 of 1,000 draws of the same distribution.
        num: Numbers that were compared.
    """

    name: str
    psi: float
    chance: float
    num: int

    @property
    def level(self) -> str:
        """`none`, `small` or `large`."""
        if self.psi < SMALL or self.psi <= self.chance:
            return "none"
        return "small" if self.psi < LARGE else "large"

    def sentence(self) -> str:
        """What it means, for people."""
        what, meaning = _MEANINGS[self.name]
        if self.level == "none":
            return f"the {what} are distributed as those of the test pairs (PSI {self.psi:.3f})"
        how = "somewhat" if self.level == "small" else "clearly"
        return (
            f"the {what} are {how} other than those of the test pairs (PSI {self.psi:.3f}): "
            + (f"{meaning}")
        )


class DriftMeter:
    """Counts what was scored.

    Args:
        reference: What the model saw when it was tested.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference.named()
        self._counts = {
            name: np.zeros(len(one.counts), np.int64) for name, one in self._reference.items()
        }

    def add_scores(self, score: NDArray[np.float32]) -> None:
        """Counts the scores of pairs, (P,)."""
        self._add("scores", score)

    def add_items(self, feed: Collator, *, num_items: int) -> None:
        """Counts the items of a collator, each for the first time."""
        lengths, unknown = measures(feed, np.arange(num_items))
        self._add("lengths", lengths)
        self._add("unknown", unknown)

    def drifts(self) -> Sequence[Drift]:
        """The change of each distribution that has been counted."""
        return [
            drift_of(name, reference, self._counts[name])
            for name, reference in self._reference.items()
            if self._counts[name].any()
        ]

    def _add(self, name: str, values: NDArray[np.generic] | None) -> None:
        if values is not None and name in self._reference:
            self._counts[name] += self._reference[name].count(values)


def drift_of(name: str, reference: Histogram, counts: NDArray[np.int64]) -> Drift:
    """Compares counts, int64 (K,), with a reference.

    Half a number is added to every bin: an empty one would make the measure infinite.
    """
    before, now = np.array(reference.counts, np.float64), counts.astype(np.float64)
    shares = [(one + _PRIOR) / (one.sum() + _PRIOR * len(one)) for one in (before, now)]
    psi = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    spread = 1.0 / max(before.sum(), 1.0) + 1.0 / max(now.sum(), 1.0)
    return Drift(name, psi, spread * _chi_squared(len(counts) - 1), int(now.sum()))


def _chi_squared(freedom: int) -> float:
    """About the 0.999 quantile. Source: Wilson and Hilferty 1931."""
    part = 2.0 / (9.0 * max(freedom, 1))
    return max(freedom, 1) * (1.0 - part + _NORMAL_QUANTILE * math.sqrt(part)) ** 3
