"""The data section: where pairs come from and how they are split."""

from typing import Literal

from pydantic import Field, model_validator

from job.config.section import Section


class ColumnsConfig(Section):
    """Names of the columns (CSV, TSV) or keys (JSONL) of a pair file."""

    left: str = Field("left", min_length=1, description="Column of the first item.")
    right: str = Field("right", min_length=1, description="Column of the second item.")
    label: str = Field(
        "label", min_length=1, description="Column of the label: 1 = match, 0 = no match."
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="Column that names what a pair belongs to (a person, a word family); "
        "needed by `data.split.by: group`. null: there is none.",
    )

    @model_validator(mode="after")
    def _are_distinct(self) -> "ColumnsConfig":
        names = [self.left, self.right, self.label, *([self.group] if self.group else [])]
        if len(set(names)) != len(names):
            raise ValueError(f"each column needs a name of its own (got {', '.join(names)})")
        return self


class SplitConfig(Section):
    """How a split without a file of its own is cut from the training file."""

    by: Literal["identity", "group", "row"] = Field(
        "identity",
        description="What must not straddle two splits. `identity`: an item, through however "
        "many pairs it connects. `group`: a value of `data.columns.group`. `row`: nothing; "
        "honest only when no item repeats.",
    )
    validation_fraction: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the pairs that goes to validation when `data.validation` is "
        "null.",
    )
    test_fraction: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the pairs that goes to test when `data.test` is null.",
    )

    @model_validator(mode="after")
    def _leaves_training_pairs(self) -> "SplitConfig":
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError(
                "validation_fraction + test_fraction must stay below 1 "
                f"(got {self.validation_fraction} + {self.test_fraction})"
            )
        return self


class DataConfig(Section):
    """Where pairs come from."""

    kind: Literal["text"] = Field("text", description="What an item is. `text`: a string.")
    train: str = Field(
        min_length=1,
        description="Pair file to train on: .csv, .tsv or .jsonl, plain or .gz, relative to "
        "`data.root`.",
    )
    validation: str | None = Field(
        None,
        min_length=1,
        description="Pair file for validation. null: cut from `data.train` by `data.split`.",
    )
    test: str | None = Field(
        None,
        min_length=1,
        description="Pair file for the final test. null: cut from `data.train` by "
        "`data.split`.",
    )
    root: str | None = Field(
        None,
        min_length=1,
        description="Folder that data paths are relative to and may not leave. null: the "
        "folder of the configuration file.",
    )
    columns: ColumnsConfig = Field(
        default_factory=ColumnsConfig, description="Names of the columns of the pair files."
    )
    split: SplitConfig = Field(
        default_factory=SplitConfig,
        description="How a split without a file of its own is cut from the training file.",
    )
    max_length: int = Field(
        256,
        ge=1,
        le=65536,
        description="Longest item, in characters; a row with a longer one is quarantined.",
    )
    max_bad_fraction: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        description="Share of a file's rows that may be bad; they are left out and reported. "
        "Above it the run stops (exit 3).",
    )

    @property
    def has_classes(self) -> bool:
        """Whether the data say which class an item belongs to; pair files do not."""
        return False

    @model_validator(mode="after")
    def _group_is_named(self) -> "DataConfig":
        if self.split.by == "group" and self.columns.group is None:
            raise ValueError(
                "`split.by: group` needs `columns.group` (got null): name the column that says "
                "what a pair belongs to"
            )
        return self
