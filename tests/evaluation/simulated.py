"""Pairs whose true quality is known in closed form, because all effects are normal.

An identity has an effect on the score of every pair it is in, and so does each of its items;
the rest is the pair's own. Matches are all pairs of items of an identity, the others pairs of
two identities. How many pairs there are of each is as random as who is in them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from job.evaluation.identities import Identities


@dataclass(frozen=True)
class World:
    """Where pairs come from.

    Attributes:
        identities: In each draw.
        items: Of each identity, on average; as likely one more or one fewer.
        others: Pairs of two identities in each draw, on average.
        gap: By how much the mean logit of matches is larger.
        identity, item, pair: Standard deviations of the effects.
    """

    identities: int
    items: int
    others: int
    gap: float
    identity: float
    item: float
    pair: float

    def draw(self, rng):
        """Labels (P,), logits (P,) and identities of another draw."""
        count = rng.integers(self.items - 1, self.items + 2, self.identities)
        num_others = rng.poisson(self.others)
        of_identity = rng.normal(size=self.identities) * self.identity
        of_item = rng.normal(size=(self.identities, self.items + 1)) * self.item
        first, second = np.triu_indices(self.items + 1, 1)
        # The second item of a pair has the larger number.
        who, pair = np.nonzero(second < count[:, None])
        a, b = first[pair], second[pair]
        own = rng.normal(size=len(who)) * self.pair
        matches = self.gap + of_identity[who] + of_item[who, a] + of_item[who, b] + own
        left = rng.integers(0, self.identities, num_others)
        right = (left + rng.integers(1, self.identities, num_others)) % self.identities
        a, b = rng.integers(0, count[left]), rng.integers(0, count[right])
        others = of_identity[left] + of_identity[right] + of_item[left, a] + of_item[right, b]
        others += rng.normal(size=num_others) * self.pair
        label = np.repeat([True, False], [len(matches), len(others)])
        sides = np.concatenate([who, left]), np.concatenate([who, right])
        return label, np.concatenate([matches, others]), Identities.of(*sides)

    @property
    def match_share(self):
        counts = self.items + np.array([-1, 0, 1])
        matches = self.identities * np.mean(counts * (counts - 1) / 2)
        return matches / (matches + self.others)

    @property
    def _spreads(self):
        shared = 2 * self.item**2 + self.pair**2
        return np.sqrt(self.identity**2 + shared), np.sqrt(2 * self.identity**2 + shared)

    def recall(self, at):
        return norm.sf((at - self.gap) / self._spreads[0])

    def false_accepts(self, at):
        return norm.sf(at / self._spreads[1])

    def precision(self, at, *, match_share=None):
        share = match_share or self.match_share
        right = share * self.recall(at)
        return right / np.maximum(right + (1 - share) * self.false_accepts(at), 1e-300)

    def truth(self, at):
        """The metrics of all pairs there could be, with the threshold `at`."""
        spread = self._spreads[0]
        grid = np.linspace(self.gap - 9 * spread, self.gap + 9 * spread, 40001)
        step = norm.pdf((grid - self.gap) / spread) / spread * (grid[1] - grid[0])
        equal = brentq(lambda x: self.false_accepts(x) - 1 + self.recall(x), -9, 20)
        return {
            "roc_auc": norm.cdf(self.gap / np.hypot(*self._spreads)),
            "average_precision": float(np.sum(step * self.precision(grid))),
            "eer": self.false_accepts(equal),
            "precision": self.precision(at),
            "recall": self.recall(at),
        }


# Every identity is in about 27 non-matches and has 3 to 10 matches.
SHARED = World(150, 4, 2000, gap=3.0, identity=0.6, item=0.4, pair=1.0)
# Few identities that are in many pairs.
FEW = World(40, 4, 700, gap=3.0, identity=0.6, item=0.4, pair=1.0)
# Hardly a pair shares an identity with another one.
SPARSE = World(400, 2, 400, gap=3.0, identity=0.6, item=0.0, pair=1.0)
