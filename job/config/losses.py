"""The `training.loss` section: what training minimises, and what each loss needs.

A loss states its needs as class variables. `config.compatibility` checks them against the
other sections, and `models.losses` holds the formulas.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from job.config.section import Section, by_kind


class LossConfig(Section):
    """What every loss states about itself.

    Attributes:
        heads: Kinds of heads that it trains; empty means every head.
        trains_scores: It trains the score itself, so that accuracy at 0.5 has a meaning.
        is_in_batch: It compares each pair with the other pairs of the global batch.
        needs_classes: It reads the class of each item.
        needs_negatives: It learns nothing when every pair matches.
    """

    heads: ClassVar[tuple[str, ...]] = ("cosine", "euclidean")
    trains_scores: ClassVar[bool] = False
    is_in_batch: ClassVar[bool] = True
    needs_classes: ClassVar[bool] = False
    needs_negatives: ClassVar[bool] = False

    @classmethod
    def trains(cls, head: str) -> bool:
        """Whether it trains a head of that kind."""
        return not cls.heads or head in cls.heads


class BinaryCrossentropyConfig(LossConfig):
    """Binary cross-entropy between the pair's label and its score."""

    heads: ClassVar[tuple[str, ...]] = ()
    trains_scores: ClassVar[bool] = True
    is_in_batch: ClassVar[bool] = False
    needs_negatives: ClassVar[bool] = True

    kind: Literal["binary_crossentropy"] = Field(
        "binary_crossentropy", description="Which loss."
    )
    positive_weight: float = Field(
        1.0,
        gt=0.0,
        le=10_000.0,
        description="How many times a matching pair counts. The number of pairs that do not "
        "match over the number that do balances the two.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of each label that is replaced by 1/2, for labels that are "
        "sometimes wrong.",
    )


class ContrastiveConfig(LossConfig):
    """Contrastive loss: matches together, the others at least a margin apart."""

    is_in_batch: ClassVar[bool] = False
    needs_negatives: ClassVar[bool] = True

    kind: Literal["contrastive"] = Field("contrastive", description="Which loss.")
    margin: float = Field(
        1.0,
        gt=0.0,
        description="Distance beyond which a pair that does not match costs nothing. In the "
        "head's distance: 1 - cos, at most 2, for `cosine`; ||u - v|| for `euclidean`.",
    )


class OnlineContrastiveConfig(LossConfig):
    """Contrastive loss on the hard pairs of the batch only."""

    needs_negatives: ClassVar[bool] = True

    kind: Literal["online_contrastive"] = Field("online_contrastive", description="Which loss.")
    margin: float = Field(
        1.0,
        gt=0.0,
        description="Distance beyond which a pair that does not match costs nothing. In the "
        "head's distance: 1 - cos, at most 2, for `cosine`; ||u - v|| for `euclidean`.",
    )


class TripletConfig(LossConfig):
    """Triplet loss over the items of the batch: other classes further apart."""

    needs_classes: ClassVar[bool] = True

    kind: Literal["triplet"] = Field("triplet", description="Which loss.")
    margin: float = Field(
        0.2,
        gt=0.0,
        description="How much further than an item of the same class one of another class has "
        "to be. In the head's distance: 1 - cos, at most 2, for `cosine`; ||u - v|| for "
        "`euclidean`.",
    )
    mining: Literal["batch_hard", "semi_hard"] = Field(
        "semi_hard",
        description="Which triplets of the batch count. `batch_hard`: for each item the "
        "furthest of its class and the nearest of another. `semi_hard`: for each pair of a "
        "class the nearest other item that is further apart than the pair.",
    )


class MultipleNegativesConfig(LossConfig):
    """InfoNCE: among all right items of the batch, find the one that matches the left item."""

    kind: Literal["multiple_negatives"] = Field("multiple_negatives", description="Which loss.")
    temperature: float = Field(
        0.05,
        ge=0.001,
        le=10.0,
        description="Divisor of the similarities; a smaller one gives more weight to the "
        "nearest items.",
    )
    symmetric: bool = Field(
        False,
        description="Whether the left item is also searched among the left items; the loss is "
        "the mean of both.",
    )


class CircleConfig(LossConfig):
    """Circle loss over the items of the batch: weighs each similarity by how far off it is."""

    heads: ClassVar[tuple[str, ...]] = ("cosine",)
    needs_classes: ClassVar[bool] = True

    kind: Literal["circle"] = Field("circle", description="Which loss.")
    margin: float = Field(
        0.25,
        ge=0.0,
        lt=1.0,
        description="Relaxation: cosines above 1 - margin within a class and below margin "
        "between classes are good.",
    )
    gamma: float = Field(64.0, gt=0.0, le=1024.0, description="Factor of the weighted cosines.")


Loss = Annotated[
    BinaryCrossentropyConfig
    | ContrastiveConfig
    | OnlineContrastiveConfig
    | TripletConfig
    | MultipleNegativesConfig
    | CircleConfig,
    Field(discriminator="kind"),
]

LOSSES: dict[str, type[LossConfig]] = by_kind(Loss)
