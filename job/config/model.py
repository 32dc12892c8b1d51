"""The `model` section: the shared encoder and the head that scores a pair of embeddings.

Heads and encoders state facts about themselves as class variables, which
`config.compatibility` checks against the other sections.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from job.config.section import MUTABLE, Section, by_kind


class HeadConfig(Section):
    """What every head states about itself.

    Attributes:
        is_symmetric: score(a, b) equals score(b, a) bit for bit.
        expresses_similarity: Its logit depends on how the two embeddings relate.
        has_distance: Its logit falls with a distance of the two embeddings, so that a search
            for neighbours finds what it scores highest.
    """

    is_symmetric: ClassVar[bool] = True
    expresses_similarity: ClassVar[bool] = True
    has_distance: ClassVar[bool] = False


class ConcatConfig(HeadConfig):
    """The book's Dense(1) on [u, v].

    Its logit is g(u) + h(v): it weighs each item alone and cannot express similarity.
    """

    is_symmetric: ClassVar[bool] = False
    expresses_similarity: ClassVar[bool] = False

    kind: Literal["concat"] = Field("concat", description="Which head.")


class MlpConfig(HeadConfig):
    """Dense(units, relu) and Dense(1) on [u, v]: learns any relation, also a one-way one."""

    is_symmetric: ClassVar[bool] = False

    kind: Literal["mlp"] = Field("mlp", description="Which head.")
    units: int = Field(64, ge=1, le=4096, description="Size of the hidden layer.")


class AbsDiffConfig(HeadConfig):
    """Dense(1) on |u - v|: a weighted L1 distance, symmetric."""

    kind: Literal["abs_diff"] = Field("abs_diff", description="Which head.")


class ProductConfig(HeadConfig):
    """Dense(1) on u * v: a weighted dot product, symmetric."""

    kind: Literal["product"] = Field("product", description="Which head.")


class AbsDiffProductConfig(HeadConfig):
    """Dense(1) on [|u - v|, u * v]; symmetric, and able to express similarity."""

    kind: Literal["abs_diff_product"] = Field("abs_diff_product", description="Which head.")


class CosineConfig(HeadConfig):
    """scale * cos(u, v) + bias with a learned positive scale; symmetric, fit for an index."""

    has_distance: ClassVar[bool] = True

    kind: Literal["cosine"] = Field("cosine", description="Which head.")


class EuclideanConfig(HeadConfig):
    """bias - scale * ||u - v|| with a learned positive scale; symmetric, fit for an index."""

    has_distance: ClassVar[bool] = True

    kind: Literal["euclidean"] = Field("euclidean", description="Which head.")


Head = Annotated[
    ConcatConfig
    | MlpConfig
    | AbsDiffConfig
    | ProductConfig
    | AbsDiffProductConfig
    | CosineConfig
    | EuclideanConfig,
    Field(discriminator="kind"),
]

HEADS: dict[str, type[HeadConfig]] = by_kind(Head)


class EncoderConfig(Section):
    """What every encoder states about itself.

    Attributes:
        data_kinds: Kinds of items that it takes.
        min_size: Smallest `data.size` of images, in pixels; 0 for an encoder of other items.
        has_batch_statistics: An embedding depends on the rest of its batch during training.
    """

    data_kinds: ClassVar[tuple[str, ...]] = ("image",)
    min_size: ClassVar[int] = 0
    has_batch_statistics: ClassVar[bool] = False

    def for_inference(self) -> Self:
        """The same encoder without what only matters during training."""
        off = {"dropout": 0.0, "gradient_checkpointing": False}
        return self.model_copy(
            update={key: off[key] for key in off if key in type(self).model_fields}
        )


class LstmConfig(EncoderConfig):
    """A recurrent encoder of texts and sequences."""

    data_kinds: ClassVar[tuple[str, ...]] = ("text", "sequence")

    kind: Literal["lstm"] = Field("lstm", description="Which encoder.")
    units: int = Field(
        32,
        ge=1,
        le=4096,
        description="Size of the LSTM state. The embedding has this size, twice it when "
        "`bidirectional`.",
    )
    embedding_size: int = Field(
        32,
        ge=1,
        le=4096,
        description="Size of the embedding vector of a token.",
    )
    bidirectional: bool = Field(
        False, description="Whether a second LSTM reads the item backwards."
    )
    layers: int = Field(1, ge=1, le=8, description="Number of stacked LSTM layers.")
    pooling: Literal["last", "mean", "max"] = Field(
        "last",
        description="Embedding from the states over time: the last state of each direction, "
        "their mean, or their maximum.",
    )
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the inputs of each LSTM dropped while training.",
    )


class CnnConfig(EncoderConfig):
    """A small convolutional encoder of small images."""

    min_size: ClassVar[int] = 8

    kind: Literal["cnn"] = Field("cnn", description="Which encoder.")
    filters: list[Annotated[int, Field(ge=1, le=2048)]] = Field(
        default_factory=lambda: [32, 64, 128],
        min_length=1,
        max_length=6,
        description="Filters of each 3x3 convolution. Each halves the image; the mean over the "
        "output of the last one goes to the embedding.",
    )
    embedding_size: int = Field(64, ge=1, le=4096, description="Size of the embedding.")
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the features before the embedding dropped while training.",
    )


class XceptionConfig(EncoderConfig):
    """Xception (Chollet 2017) with random weights, for images of at least 71 pixels."""

    min_size: ClassVar[int] = 71
    has_batch_statistics: ClassVar[bool] = True

    kind: Literal["xception"] = Field("xception", description="Which encoder.")
    pooling: Literal["mean", "max"] = Field(
        "mean",
        description="Embedding from the last feature maps: the mean or the maximum of each.",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Whether the gradient computes the feature maps inside each block anew "
        "instead of keeping them: less memory, a third more time, the same bits.",
        json_schema_extra=MUTABLE,
    )


Encoder = Annotated[LstmConfig | CnnConfig | XceptionConfig, Field(discriminator="kind")]

ENCODERS: dict[str, type[EncoderConfig]] = by_kind(Encoder)

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class ModelConfig(Section):
    """One encoder for both items, one head for the pair."""

    encoder: Encoder = Field(
        default_factory=LstmConfig, description="The encoder both items share."
    )
    head: Head = Field(
        default_factory=AbsDiffProductConfig,
        description="Computes a score from two embeddings.",
    )
    precision: Precision = Field(
        "float32",
        description="Precision of the encoder. Weights, embeddings, head and loss are always "
        "float32. `mixed_bfloat16` suits newer GPUs; `mixed_float16` older ones, with "
        "the loss scaled so that small gradients are not lost.",
    )
