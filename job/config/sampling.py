"""The `data.sampling` section: how pairs are drawn from labelled items."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from job.config.section import Section


class SamplingConfig(Section):
    """The keys of every way to draw pairs."""

    evaluation_pairs: int = Field(
        10_000,
        ge=2,
        le=10_000_000,
        description="Pairs drawn once for each of validation and test; half of them match.",
    )


class PairSamplingConfig(SamplingConfig):
    """Pairs drawn one by one: matches within a class, others between two classes."""

    kind: Literal["pairs"] = Field("pairs", description="How pairs are drawn.")
    positives_per_epoch: int | None = Field(
        None,
        ge=1,
        description="Matching pairs in an epoch, drawn again for each epoch. null: as many as "
        "there are training items.",
    )
    negatives_per_epoch: int | None = Field(
        None,
        ge=1,
        description="Pairs in an epoch that do not match. null: as many as there are training "
        "items.",
    )


class ClassSamplingConfig(SamplingConfig):
    """Batches of some items each of many classes, for losses that compare within a batch.

    Every pair of a batch matches, and no item is in a batch twice.
    """

    kind: Literal["classes"] = Field("classes", description="How pairs are drawn.")
    items_per_class: int = Field(
        2,
        ge=2,
        description="Items of each class in a batch, an even number; a batch holds "
        "2 * `training.global_batch_size` / `items_per_class` classes. Smaller classes are "
        "left out of training.",
    )
    pairs_per_epoch: int | None = Field(
        None,
        ge=1,
        description="Pairs in an epoch. null: half as many as there are training items, so "
        "that an item is seen about once.",
    )

    @model_validator(mode="after")
    def _makes_pairs(self) -> "ClassSamplingConfig":
        if self.items_per_class % 2:
            raise ValueError(
                "items_per_class must be even, since two items of a class make a pair (got "
                f"{self.items_per_class})"
            )
        return self


Sampling = Annotated[PairSamplingConfig | ClassSamplingConfig, Field(discriminator="kind")]
