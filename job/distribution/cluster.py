"""The workers of a run. Does not import TensorFlow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cluster:
    """The workers of a run, and the position of this process among them.

    Attributes:
        worker: Index of this process, from 0.
        num_workers: Number of processes that train together.
    """

    worker: int = 0
    num_workers: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.worker == 0
