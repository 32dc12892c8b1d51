"""What is known of a data set when its configuration is chosen; plain numbers.

`look` measures them, `rules` decides by them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from job.inspection.item_measures import Distribution
from job.types import Kind


@dataclass(frozen=True)
class SplitFact:
    """How the splits are made.

    Attributes:
        by: `identity`, `group` or `row`; None where files or a column say it.
        fraction: Share of validation, and of test.
        why: The reason, for a comment.
    """

    by: Literal["identity", "group", "row"] | None
    fraction: float
    why: str

    def as_section(self, files: Collection[str]) -> dict[str, Any]:
        """`data.split` as a mapping; empty where nothing is cut.

        Args:
            files: The splits that have a file of their own.
        """
        if self.by is None:
            return {}
        cut = [split for split in ("validation", "test") if split not in files]
        return {"by": self.by, **{f"{split}_fraction": self.fraction for split in cut}}


@dataclass(frozen=True)
class Facts:
    """Numbers of a data set.

    Attributes:
        kind: What an item is.
        rows: Pairs, or items with a class.
        num_rows: Rows of the training file that are trained on.
        num_items: Distinct items of the training split.
        matching: Share of the training pairs that match; None for items with a class.
        num_classes: Classes of the training split; 0 for pairs.
        class_size: Items of the middle class.
        share_single: Share of the classes that have one item.
        lengths: Characters or time steps of an item; None for images.
        mean_words: Words of a text.
        share_unknown: Share of the words of validation that training does not hold.
        sides_differ: Share of the training pairs whose two texts have another main script.
        image_side: Longer side of the middle image, in pixels.
        is_coloured: Whether images have colours.
        spelling: ROC-AUC on validation of the best untrained baseline.
        baseline: Its name.
        split: How the splits are made.
        num_validation: Rows of validation.
        num_surveyed: Rows that were measured; fewer than all of a large file.
        share_bad: Share of the rows that cannot be used, of the file with the largest one.
    """

    kind: Kind
    rows: Literal["pairs", "items"]
    num_rows: int
    num_items: int
    spelling: float
    baseline: str
    split: SplitFact
    matching: float | None = None
    num_classes: int = 0
    class_size: float = 0.0
    share_single: float = 0.0
    lengths: Distribution | None = None
    mean_words: float = 0.0
    share_unknown: float = 0.0
    sides_differ: float = 0.0
    image_side: int = 0
    is_coloured: bool = False
    num_validation: int = 0
    num_surveyed: int = 0
    share_bad: float = 0.0
