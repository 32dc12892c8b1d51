"""95 % intervals of quality metrics, by a bootstrap over identities.

Pairs that share a person are not independent: with an interval from resampled pairs the quality
of other people lies outside it far more often than in 5 % of cases. Here identities are
resampled::

    identities = identities_of(pairs, items)
    metric_intervals(judged, identities, measures=Measures(), seed=0)["roc_auc"]

For each metric:

1. V, its variance over replicates that draw identities, less twice its variance over replicates
   that draw pairs of identities: a product of two random weights varies three times as much as
   the weight of a pair should where no two pairs share an identity. At least a third of the
   first is left (`resampling.kept_share`).
2. V grows by G / (G - 5) for G identities, because deviations from the mean of the data are too
   small: of the G d^2 products of deviations of pairs that share one of G identities, each
   lacks the variance of the mean, which is 4 of the 5; the rest is what a simulation of few
   identities lacks. For metrics of matches alone, which mostly lie within an identity, the
   factor is G / (G - 1).
3. The interval is Wilson's for a share of V's effective number of pairs, with Student's
   quantile for G / 2 degrees of freedom: few identities have most of the influence. It stays
   within [0, 1].
4. A metric that no replicate changes, such as the precision of decisions without a false
   accept, reaches to what it would be with as many errors as are likely to go unseen among G
   identities.

`docs/adr/0014-intervals-over-identities.md` has the simulation that these choices passed.

Source: Wilson 1927; Fogliato, Patil, Perona 2024 for his interval with an effective number of
pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from job.evaluation.identities import Identities
from job.evaluation.resampling import Draw, by_dyad, by_identity, kept_share, replicates
from job.evaluation.weighted import Judged, RankedPairs, decisions

Interval = tuple[float, float]
Values = NDArray[np.float64]

LEVEL = 0.95
NUM_REPLICATES = 1000
# Fewer identities than this, equally frequent ones, have no interval.
MIN_IDENTITIES = 8.0
# More pairs get fewer replicates, down to `_MIN_REPLICATES`, and beyond `_MAX_PAIRS` the
# variance is that of an evenly spaced part, which is larger.
_MAX_WEIGHTS = 50_000_000
_MIN_REPLICATES = 200
_MAX_PAIRS = 1_000_000
_MAX_LOGITS = 1 << 14

# Metrics of matches alone.
_OF_MATCHES = ("recall",)
# Metrics that sampling raises: the deviations they add up are absolute.
_RAISED = ("ece", "raw_ece")
# Metrics from -1 to 1.
_SIGNED = ("mcc",)


@dataclass(frozen=True)
class Spread:
    """How much a metric varies from draw to draw.

    Attributes:
        value: The metric of the data.
        variance: Of the metric over draws of identities.
        bias: By how much resampling raises it.
        identities: Effective number of identities, G.
        unseen: The metric with errors that may have gone unseen; read if the variance is 0.
    """

    value: float
    variance: float
    bias: float
    identities: float
    unseen: float

    def interval(self, *, level: float = LEVEL) -> Interval:
        """Wilson's interval of a share, for the effective number of pairs."""
        from scipy.stats import t

        quantile = float(t.ppf(0.5 + level / 2, self.identities / 2))
        share = min(max(self.value, 0.0), 1.0)
        if not self.variance:
            return min(share, self.unseen), max(share, self.unseen)
        # A share of exactly 0 or 1 on all pairs, but not in a replicate of some of them.
        count = share * (1 - share) / self.variance or self.identities
        square = quantile**2 / count
        centre = (share + square / 2) / (1 + square)
        reach = quantile * np.sqrt(share * (1 - share) / count + square / (4 * count))
        reach /= 1 + square
        return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))

    def shifted_interval(self, *, level: float = LEVEL) -> Interval:
        """The interval of a metric that sampling raises, without that rise."""
        from scipy.stats import t

        reach = float(t.ppf(0.5 + level / 2, self.identities / 2)) * np.sqrt(self.variance)
        centre = max(0.0, self.value - self.bias)
        return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))


@dataclass(frozen=True)
class Measures:
    """What is measured, besides the pairs.

    Attributes:
        match_share: Share of matches that is measured for; None for that of the data.
        rates: False accept rates, by the name of the true accept rate there.
    """

    match_share: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)

    def rank(self, pairs: Judged, *, max_logits: int | None = None) -> RankedPairs:
        """Pairs ready to be measured."""
        return RankedPairs.of(
            pairs, match_share=self.match_share, rates=self.rates, max_logits=max_logits
        )

    def of(self, pairs: Judged) -> Mapping[str, float]:
        """Every metric of some pairs, by name; NaN where they have none."""
        # A float32 sum counts exactly up to 2**24 pairs.
        found = self.rank(pairs).metrics(np.ones((1, len(pairs)), np.float64))
        return {name: float(value[0]) for name, value in found.items()}


def metric_intervals(
    pairs: Judged,
    identities: Identities,
    *,
    measures: Measures,
    seed: int,
    num_replicates: int = NUM_REPLICATES,
) -> Mapping[str, Interval]:
    """The 95 % interval of every metric of some pairs, by name.

    Metrics that the pairs do not have, and all if there are too few identities, are left out.

    Args:
        pairs: P pairs.
        identities: Those of the pairs.
        measures: What is measured.
        seed: Of the random draws.
        num_replicates: Draws, at most.
    """
    spreads = metric_spreads(
        pairs, identities, measures=measures, seed=seed, num_replicates=num_replicates
    )
    found: dict[str, Interval] = {}
    for name, spread in spreads.items():
        if name in _RAISED:
            found[name] = spread.shifted_interval()
        elif name in _SIGNED:
            low, high = spread.interval()
            found[name] = 2 * low - 1, 2 * high - 1
        else:
            found[name] = spread.interval()
    return found


def metric_spreads(
    pairs: Judged,
    identities: Identities,
    *,
    measures: Measures,
    seed: int,
    num_replicates: int = NUM_REPLICATES,
) -> Mapping[str, Spread]:
    """How much each metric varies, by name; signed ones are mapped to [0, 1]."""
    counts = [
        identities.effective_count(chosen) for chosen in (pairs.is_match, ~pairs.is_match)
    ]
    if min(counts) < MIN_IDENTITIES:
        return {}
    value = _measured(measures.rank(pairs), np.ones((1, len(pairs)), np.float64))
    kept_pairs = min(len(pairs), _MAX_PAIRS)
    part = np.arange(kept_pairs) * len(pairs) // kept_pairs
    ranked = measures.rank(pairs.take(part), max_logits=_MAX_LOGITS)
    match_share = measures.match_share or float(pairs.is_match.mean())
    unseen = _with_unseen_errors(value, counts, match_share=match_share)
    ranked_identities = identities.take(part[ranked.order])
    count = min(num_replicates, max(_MIN_REPLICATES, _MAX_WEIGHTS // kept_pairs))
    drawn = replicate_metrics(ranked, by_identity(ranked_identities), count=count, seed=seed)
    # Only their variance is used, for which half as many do.
    surplus = replicate_metrics(
        ranked, by_dyad(ranked_identities), count=max(count // 2, 2), seed=seed + 1
    )
    found: dict[str, Spread] = {}
    for name, [at] in value.items():
        known = drawn[name][np.isfinite(drawn[name])]
        if np.isfinite(at) and len(known) >= count // 2:
            is_of_matches = name in _OF_MATCHES
            found[name] = _spread(
                float(at),
                known,
                surplus=float(np.nanvar(surplus[name])),
                identities=counts[0] if is_of_matches else min(counts),
                lost=1 if is_of_matches else 5,
                unseen=unseen.get(name, float(at)),
            )
    return found


def _spread(
    value: float,
    drawn: Values,
    *,
    surplus: float,
    identities: float,
    lost: int,
    unseen: float,
) -> Spread:
    """The spread of a metric from its replicates; see the module's steps 1 and 2."""
    variance = float(np.var(drawn))
    # Rounding errors of sums of other weights are no variance.
    variance = variance if variance > 1e-12 else 0.0
    share = float(kept_share(variance, surplus))
    bias = (float(np.mean(drawn)) - value) * share
    lack = identities / (identities - lost)
    return Spread(value, variance * share * lack, bias, identities, unseen)


def _with_unseen_errors(
    value: Mapping[str, Values], counts: Sequence[float], *, match_share: float
) -> Mapping[str, float]:
    """Metrics with at least the errors that are likely to go unseen, by name.

    Args:
        value: The metrics of the pairs, float64 (1,) by name.
        counts: Effective number of identities of matches, and of the others.
        match_share: Share of matches that is measured for.
    """
    least = [1.0 - ((1.0 - LEVEL) / 2) ** (1.0 / count) for count in counts]
    recall, accepts = float(value["recall"][0]), float(value["false_accept_rate"][0])
    recall, accepts = min(recall, 1.0 - least[0]), max(accepts, least[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        decided = decisions(
            *(
                np.array([mass])
                for mass in (
                    match_share * recall,
                    match_share * (1.0 - recall),
                    (1.0 - match_share) * accepts,
                    (1.0 - match_share) * (1.0 - accepts),
                )
            )
        )
    found = {name: float(metric[0]) for name, metric in decided.items()}
    for name in _SIGNED:
        found[name] = (1 + found[name]) / 2
    # A match below all others, and another pair above all matches, each with that weight.
    missed, false = least
    return {
        **found,
        "roc_auc": (1.0 - missed) * (1.0 - false),
        "eer": max(least),
        "average_precision": found["precision"] * (1.0 - missed),
        **{name: 1.0 - missed for name in value if name.startswith("tar_")},
    }


def replicate_metrics(
    ranked: RankedPairs, draw: Draw, *, count: int, seed: int
) -> Mapping[str, Values]:
    """The metrics of `count` random weightings, float64 (count,) by name."""
    parts = [
        _measured(ranked, weights)
        for weights in replicates(draw, count=count, num_pairs=len(ranked.order), seed=seed)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measured(ranked: RankedPairs, weights: NDArray[np.float32]) -> Mapping[str, Values]:
    found = dict(ranked.metrics(weights))
    for name in _SIGNED:
        found[name] = (1 + found[name]) / 2
    return found
