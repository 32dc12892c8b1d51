"""Who this process is among the workers of a run. Knows nothing of TensorFlow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cluster:
    """The workers of a run, and which one this process is.

    Attributes:
        worker: Number of this process, from 0.
        num_workers: How many processes train together.
    """

    worker: int = 0
    num_workers: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.worker == 0
