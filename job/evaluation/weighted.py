"""Metrics of weighted pairs, for many weightings at a time. B weightings, P pairs, K scores.

A bootstrap asks for the metrics of the same pairs a thousand times, each time with other
weights. The pairs are sorted once; then every metric is a few sums over (B, P)::

    ranked = RankedPairs.of(judged, match_share=None, rates={"tar_at_far_0.1": 0.1})
    ranked.metrics(np.ones((1, P), np.float32))["roc_auc"]  # float64 (1,)

With weights of 1 the values are those of `metrics`, which a test compares. A value that a
weighting does not have, since it leaves no match for example, is NaN.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.evaluation.resampling import Weights

Values = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bins of the calibration error, of equally many pairs.
NUM_BINS = 10


@dataclass(frozen=True, eq=False)
class Judged:
    """What is known of P pairs.

    Attributes:
        is_match: bool (P,).
        logit: float64 (P,), finite, large = similar.
        accepted: bool (P,), the decision at the threshold.
        raw: float64 (P,), the score as a probability.
        calibrated: float64 (P,), the calibrated probability.
    """

    is_match: NDArray[np.bool_]
    logit: Values
    accepted: NDArray[np.bool_]
    raw: Values
    calibrated: Values

    def __len__(self) -> int:
        return len(self.logit)

    def take(self, chosen: NDArray[np.generic]) -> "Judged":
        """Some of the pairs: numbers, or a flag for each."""
        return Judged(
            self.is_match[chosen],
            self.logit[chosen],
            self.accepted[chosen],
            self.raw[chosen],
            self.calibrated[chosen],
        )


@dataclass(frozen=True, eq=False)
class RankedPairs:
    """Pairs sorted from the most to the least similar, ready to be measured.

    Attributes:
        order: int64 (P,), numbers of the pairs as sorted.
        is_match: float32 (P,), in that order.
        starts: int64 (K,), where each distinct logit begins.
        sums: float32 (P, 8), what each pair adds to the sums of `_Totals`.
        gaps: float32 (4, P), by how much each match, and each other pair, is above and below
            its probability: raw, then calibrated.
        bins: Where the bins of the calibration error begin: raw, calibrated.
        match_share: Share of matches that is measured for; None for that of the weights.
        rates: The false accept rates at which the true accept rate is wanted.
    """

    order: IntArray
    is_match: NDArray[np.float32]
    starts: IntArray
    sums: NDArray[np.float32]
    gaps: NDArray[np.float32]
    bins: tuple[IntArray, IntArray]
    match_share: float | None
    rates: Mapping[str, float]

    @classmethod
    def of(
        cls,
        pairs: Judged,
        *,
        match_share: float | None,
        rates: Mapping[str, float],
        max_logits: int | None = None,
    ) -> "RankedPairs":
        """Sorts pairs.

        Args:
            pairs: One or more.
            match_share: Share of matches that is measured for; None for that of the weights.
            rates: False accept rates, by the name of the metric.
            max_logits: Distinct logits, at most: of more, neighbours count as one, but for
                the highest half. None: each counts.
        """
        order = np.argsort(-pairs.logit, kind="stable")
        logit = pairs.logit[order]
        starts = np.flatnonzero(np.concatenate(([True], logit[1:] != logit[:-1])))
        if max_logits is not None and len(starts) > max_logits:
            kept = max_logits // 2
            rest = kept + np.arange(kept) * (len(starts) - kept) // kept
            starts = np.concatenate([starts[:kept], starts[rest]])
        match, other = pairs.is_match[order], ~pairs.is_match[order]
        accepted = pairs.accepted[order]
        chances = np.stack([pairs.raw[order], pairs.calibrated[order]])
        columns = [match, other, match & accepted, other & accepted]
        for chance in chances:
            columns += [match * np.square(1.0 - chance), other * np.square(chance)]
        return cls(
            order=order,
            is_match=match.astype(np.float32),
            starts=starts,
            sums=np.stack(columns, axis=1).astype(np.float32),
            gaps=np.concatenate(
                [[match * (1.0 - chance), other * chance] for chance in chances]
            ).astype(np.float32),
            bins=(equal_bins(chances[0]), equal_bins(chances[1])),
            match_share=match_share,
            rates=rates,
        )

    def metrics(self, weights: Weights) -> Mapping[str, Values]:
        """Every metric, float64 (B,) by name, of weights (B, P) in the order of `order`."""
        totals = _Totals(*(weights @ self.sums).astype(np.float64).T)
        scale = totals.scales(self.match_share)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                **self._rankings(weights, scale=scale),
                **totals.decisions(scale),
                **self._calibration(weights, totals=totals, scale=scale),
            }

    def _rankings(self, weights: Weights, *, scale: "_Scales") -> Mapping[str, Values]:
        """Metrics of the order of the pairs."""
        gained = self._of_logits(weights * self.is_match)
        added = self._of_logits(weights) - gained
        accepts, wrong = np.cumsum(gained, axis=1), np.cumsum(added, axis=1)
        matches = np.where(accepts[:, -1:] > 0, accepts[:, -1:], np.nan)
        others = np.where(wrong[:, -1:] > 0, wrong[:, -1:], np.nan)
        area = ((accepts - gained / 2) * added).sum(axis=1) / (matches * others)[:, 0]
        right, false = accepts * scale.match[:, None], wrong * scale.other[:, None]
        precision = right / np.maximum(right + false, np.finfo(np.float64).tiny)
        found = {
            "roc_auc": area,
            "average_precision": (gained * precision).sum(axis=1) / matches[:, 0]
            + 0.0 * others[:, 0],
            "eer": _equal_errors(accepts, wrong, matches, others),
        }
        for name, rate in self.rates.items():
            found[name] = accepts_at(rate * others, accepts, wrong) / matches[:, 0]
        return found

    def _of_logits(self, weights: Weights) -> Values:
        """The weight of each distinct logit, (B, P) -> float64 (B, K)."""
        if len(self.starts) == weights.shape[1]:
            return weights.astype(np.float64)
        return np.add.reduceat(weights, self.starts, axis=1, dtype=np.float64)

    def _calibration(
        self, weights: Weights, *, totals: "_Totals", scale: "_Scales"
    ) -> Mapping[str, Values]:
        """Brier scores and calibration errors of the raw and the calibrated probability."""
        mass = totals.matches * scale.match + totals.others * scale.other
        found = {"raw_brier": totals.raw_brier(scale), "brier": totals.brier(scale)}
        for name, starts, gaps in zip(
            ("raw_ece", "ece"), self.bins, (self.gaps[:2], self.gaps[2:]), strict=True
        ):
            above, below = (np.add.reduceat(weights * gap, starts, axis=1) for gap in gaps)
            gap = scale.match[:, None] * above - scale.other[:, None] * below
            found[name] = np.abs(gap).sum(axis=1)
        return {name: value / mass for name, value in found.items()}


@dataclass(frozen=True, eq=False)
class _Scales:
    """What a weight of a match, and of another pair, counts: float64 (B,) each."""

    match: Values
    other: Values


@dataclass(frozen=True, eq=False)
class _Totals:
    """Sums over pairs, float64 (B,) each."""

    matches: Values
    others: Values
    accepts: Values
    false_accepts: Values
    raw_of_matches: Values
    raw_of_others: Values
    of_matches: Values
    of_others: Values

    def scales(self, match_share: float | None) -> _Scales:
        one = np.ones_like(self.matches)
        if match_share is None:
            return _Scales(one, one)
        with np.errstate(divide="ignore"):
            return _Scales(match_share / self.matches, (1.0 - match_share) / self.others)

    def raw_brier(self, scale: _Scales) -> Values:
        return self.raw_of_matches * scale.match + self.raw_of_others * scale.other

    def brier(self, scale: _Scales) -> Values:
        return self.of_matches * scale.match + self.of_others * scale.other

    def decisions(self, scale: _Scales) -> dict[str, Values]:
        """Metrics of the decision at the threshold, with the conventions of `metrics`."""
        right, false = self.accepts * scale.match, self.false_accepts * scale.other
        missed, refused = self.matches * scale.match - right, self.others * scale.other - false
        return decisions(right, missed, false, refused)


def decisions(
    right: Values, missed: Values, false: Values, refused: Values
) -> dict[str, Values]:
    """Metrics of decisions by name, from the weight of accepted and rejected pairs.

    Args:
        right: float64 (B,), accepted matches.
        missed: Rejected matches.
        false: Accepted others.
        refused: Rejected others.
    """
    product = (right + false) * (right + missed) * (refused + false) * (refused + missed)
    root = np.sqrt(np.maximum(product, 0.0))
    total = right + missed + false + refused
    return {
        "accuracy": (right + refused) / total,
        "precision": right / (right + false),
        "recall": right / (right + missed),
        "false_accept_rate": false / (false + refused),
        "balanced_accuracy": (right / (right + missed) + refused / (false + refused)) / 2,
        "f1": _or_zero(2 * right, 2 * right + missed + false, total),
        "mcc": _or_zero(right * refused - missed * false, root, total),
    }


def equal_bins(probability: Values) -> IntArray:
    """Where about `NUM_BINS` bins of equally many pairs begin, equal probabilities together.

    Args:
        probability: float64 (P,), descending.
    """
    wanted = np.arange(1, NUM_BINS) * len(probability) // NUM_BINS
    # The first pair of the probability that a cut would divide.
    first = np.searchsorted(-probability, -probability[wanted], side="left")
    return np.unique(np.concatenate(([0], first)))


def _or_zero(part: Values, whole: Values, total: Values) -> Values:
    """A ratio; 0 where the whole is 0, NaN where there are no pairs."""
    ratio = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)
    return np.where(total > 0, ratio, np.nan)


def _equal_errors(accepts: Values, wrong: Values, matches: Values, others: Values) -> Values:
    """Where the share of accepted others equals that of rejected matches, (B,).

    Args:
        accepts: float64 (B, K), accepted matches at each score, from the highest down.
        wrong: float64 (B, K), accepted others.
        matches: float64 (B, 1), all matches; NaN if there are none.
        others: float64 (B, 1), all others likewise.
    """

    def rates(place: IntArray) -> tuple[Values, Values]:
        """Of rejected matches and of accepted others; before the first place 1 and 0."""
        rejected = 1.0 - _at(accepts, place) / matches
        return rejected, _at(wrong, place) / others

    # Rounding must not step over the place where both are equal.
    after = _first(lambda place: np.subtract(*rates(place)) <= 1e-12, accepts.shape)
    rejected, accepted = rates(after)
    rejected_before, accepted_before = rates(after - 1)
    gap, gap_before = rejected - accepted, rejected_before - accepted_before
    step = gap_before / np.maximum(gap_before - gap, np.finfo(np.float64).tiny)
    equal: Values = accepted_before + step * (accepted - accepted_before)
    return equal[:, 0]


def accepts_at(wanted: Values, accepts: Values, wrong: Values) -> Values:
    """Accepted matches where a number of other pairs is accepted.

    The threshold lies at the score of the last of these others. Just above the next one it
    would accept no other pair more among these, but among new pairs on average one. Pairs of
    equal score are accepted in equal shares.

    Args:
        wanted: float64 (B, 1), other pairs, > 0.
        accepts: float64 (B, K), accepted matches at each score, from the highest down.
        wrong: float64 (B, K), accepted other pairs.

    Returns:
        float64 (B,).
    """
    # Rounding must not step over the place where both are equal.
    after = _first(lambda place: _at(wrong, place) >= wanted * (1 - 1e-6), wrong.shape)
    before, found = _at(wrong, after - 1), _at(accepts, after - 1)
    step = (wanted - before) / (_at(wrong, after) - before)
    between: Values = found + np.minimum(step, 1.0) * (_at(accepts, after) - found)
    return between[:, 0]


def _at(table: Values, place: IntArray) -> Values:
    """Values of a table (B, K) at one place a row, (B, 1); 0 before the first place."""
    row = np.arange(len(table))[:, None]
    return np.where(place >= 0, table[row, np.maximum(place, 0)], 0.0)


def _first(
    is_reached: Callable[[IntArray], NDArray[np.bool_]], shape: tuple[int, ...]
) -> IntArray:
    """The first place of each row, (B, 1), that is reached, as are all places after it.

    The last place is taken to be reached. Looking at some places only is faster than comparing
    all K of them.
    """
    low = np.zeros((shape[0], 1), np.int64)
    high = np.full((shape[0], 1), shape[1] - 1, np.int64)
    while (low < high).any():
        middle = (low + high) // 2
        reached = is_reached(middle)
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
        low = np.minimum(low, high)
    return low
