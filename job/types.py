"""Words and small values that every layer shares.

Labels: 1 means the two items match, 0 that they do not. Scores lie in [0, 1] and are large
for similar items; distances are small for similar items. No part of the program uses
another convention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Kind = Literal["text", "sequence", "image"]

# Why a row cannot be used.
Reason = Literal[
    "label",
    "class",
    "split",
    "empty",
    "too_long",
    "too_large",
    "missing",
    "undecodable",
    "malformed",
    "format",
    "damaged",
    "shape",
    "not_finite",
    "duplicate",
    "no_item",
    "no_file",
    "outside",
]

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True)
class ItemInput:
    """How an encoder is given one item.

    Texts are token ids, padded with 0. Sequences are padded with steps of NaN, which no item
    holds. Images are red, green and blue from 0 to 255.

    Attributes:
        kind: What an item is.
        dtype: NumPy name of the type of its values.
        shape: Its shape without the batch; None is a time axis of any length, padded.
        vocabulary_size: Of a text: number of token ids, padding (0) and unknown (1) included.
        mean: Of a sequence: mean of each feature over the steps of the training items.
        std: Of a sequence: standard deviation likewise, > 0.
    """

    kind: Kind
    dtype: str
    shape: tuple[int | None, ...]
    vocabulary_size: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def fill(self) -> float:
        """The value behind the end of an item that is shorter than its batch."""
        return float("nan") if self.kind == "sequence" else 0.0


@dataclass(frozen=True)
class Position:
    """Where training stands: after `step_in_epoch` optimizer steps of epoch `epoch`.

    Attributes:
        epoch: Completed epochs, counted from 0; also the number of the epoch under way.
        step_in_epoch: Optimizer steps taken in the epoch under way.
        global_step: Optimizer steps taken since the run began.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    global_step: int = 0

    def advanced(self, steps: int) -> "Position":
        """The position `steps` optimizer steps later in the same epoch."""
        return Position(self.epoch, self.step_in_epoch + steps, self.global_step + steps)

    def next_epoch(self) -> "Position":
        """The start of the following epoch."""
        return Position(self.epoch + 1, 0, self.global_step)


class Problem(NamedTuple):
    """Why a row cannot be used."""

    reason: Reason
    detail: str
