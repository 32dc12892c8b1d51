"""How much less than independent pairs the pairs of shared identities tell. P pairs.

An error rate over P independent pairs is as certain as a share of P coin tosses. Pairs that
share an identity err together, so the rate is as certain as that of P / D tosses, D >= 1::

    dependence = Dependence.of(identities)
    dependence.variance(influence)  # of a mean whose pairs have this influence on it
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.evaluation.identities import Identities

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dependence:
    """Which pairs share an identity.

    Attributes:
        identities: The identities.
        dyad: int64 (Q,), the two identities of each pair of two different ones, as a number.
        is_between: bool (P,), Q of them set: the pair is of two different identities.
    """

    identities: Identities
    dyad: NDArray[np.int64]
    is_between: NDArray[np.bool_]

    @classmethod
    def of(cls, identities: Identities) -> "Dependence":
        """Finds the pairs that share two identities."""
        is_between = identities.left != identities.right
        dyads = identities.dyads()[is_between]
        return cls(identities, np.unique(dyads, return_inverse=True)[1], is_between)

    def variance(self, influence: Values) -> float:
        """The variance of a mean over draws of identities.

        Each two pairs that share an identity, or two, count with the product of their
        influences once.

        Args:
            influence: float64 (P,), by how much each pair moves the mean; the sum is 0.

        Source: Aronow, Samii, Assenova 2015, eq. 4. At least a third of the variance of a
            bootstrap over identities is left, as in `intervals`.
        """
        left, right, count = (
            self.identities.left,
            self.identities.right,
            self.identities.count,
        )
        between = influence * self.is_between
        of_each = np.bincount(left, influence, count) + np.bincount(right, between, count)
        twice = np.bincount(self.dyad, influence[self.is_between])
        shared, doubled = float(np.square(of_each).sum()), float(np.square(twice).sum())
        return max(shared - doubled, (shared + doubled) / 3)
