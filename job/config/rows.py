"""What the rows of the data files hold and how they are dealt to the splits."""

from typing import Literal

from pydantic import Field, model_validator

from job.config.section import Section


class ColumnsConfig(Section):
    """Names of columns (CSV, TSV), keys (JSONL) or arrays (NPZ)."""

    left: str = Field("left", min_length=1, description="Of a pair: the first item.")
    right: str = Field("right", min_length=1, description="Of a pair: the second item.")
    label: str = Field("label", min_length=1, description="Of a pair: 1 = match, 0 = no match.")
    item: str = Field(
        "item",
        min_length=1,
        description="Of an item: the text, or the path of the file that holds it.",
    )
    item_class: str = Field(
        "class",
        min_length=1,
        description="Of an item: its class; two items match when it is the same.",
    )
    id: str = Field(
        "id", min_length=1, description="Of an item in `data.items`: what pairs call it."
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="What a row belongs to (a person, a word family); needed by "
        "`data.split.by: group`. null: there is none.",
    )
    split: str | None = Field(
        None,
        min_length=1,
        description="Which split a row of `data.train` belongs to: train, validation or test. "
        "null: `data.split` decides.",
    )

    @model_validator(mode="after")
    def _are_distinct(self) -> "ColumnsConfig":
        optional = [name for name in (self.group, self.split) if name is not None]
        for names in (
            [self.left, self.right, self.label, *optional],
            [self.item, self.id, self.item_class],
            [self.item, self.id, *optional],
        ):
            if len(set(names)) != len(names):
                raise ValueError(
                    f"each column needs a name of its own (got {', '.join(names)})"
                )
        return self


class SplitConfig(Section):
    """How a split without a file of its own is cut from the training file."""

    by: Literal["identity", "group", "row"] = Field(
        "identity",
        description="What must not straddle two splits. `identity`: of pairs, an item through "
        "however many pairs it connects; of labelled items, a class. `group`: a value of "
        "`data.columns.group`. `row`: nothing; honest only when no item repeats.",
    )
    validation_fraction: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the rows that goes to validation when `data.validation` is null.",
    )
    test_fraction: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the rows that goes to test when `data.test` is null.",
    )

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> "SplitConfig":
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError(
                "validation_fraction + test_fraction must stay below 1 "
                f"(got {self.validation_fraction} + {self.test_fraction})"
            )
        return self
