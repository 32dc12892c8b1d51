"""The model section: the shared encoder and the head that scores a pair of embeddings."""

from typing import Annotated, Literal

from pydantic import Field

from job.config.section import Section


class ConcatConfig(Section):
    """The book's Dense(1) on [u, v].

    Its logit is g(u) + h(v): it weighs each item alone and cannot express similarity.
    """

    kind: Literal["concat"] = Field("concat", description="Which head.")


class MlpConfig(Section):
    """Dense(units, relu) and Dense(1) on [u, v]: learns any relation, also a one-way one."""

    kind: Literal["mlp"] = Field("mlp", description="Which head.")
    units: int = Field(64, ge=1, le=4096, description="Size of the hidden layer.")


class AbsDiffConfig(Section):
    """Dense(1) on |u - v|: a weighted L1 distance, symmetric."""

    kind: Literal["abs_diff"] = Field("abs_diff", description="Which head.")


class ProductConfig(Section):
    """Dense(1) on u * v: a weighted dot product, symmetric."""

    kind: Literal["product"] = Field("product", description="Which head.")


class AbsDiffProductConfig(Section):
    """Dense(1) on [|u - v|, u * v]; symmetric, and able to express similarity."""

    kind: Literal["abs_diff_product"] = Field("abs_diff_product", description="Which head.")


class CosineConfig(Section):
    """scale * cos(u, v) + bias with a learned positive scale; symmetric, fit for an index."""

    kind: Literal["cosine"] = Field("cosine", description="Which head.")


class EuclideanConfig(Section):
    """bias - scale * ||u - v|| with a learned positive scale; symmetric, fit for an index."""

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


class LstmConfig(Section):
    """A recurrent encoder of texts and sequences."""

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
        description="Size of the vector that a token of a text is looked up as.",
    )
    bidirectional: bool = Field(
        False, description="Whether a second LSTM reads the item from its end."
    )
    layers: int = Field(
        1, ge=1, le=8, description="LSTMs on top of each other, each reading the one below."
    )
    pooling: Literal["last", "mean", "max"] = Field(
        "last",
        description="What of the states over time is the embedding: the last one of each "
        "direction, their mean, or their largest values.",
    )
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the inputs of each LSTM dropped while training.",
    )


class CnnConfig(Section):
    """A small convolutional encoder of small pictures."""

    kind: Literal["cnn"] = Field("cnn", description="Which encoder.")
    filters: list[Annotated[int, Field(ge=1, le=2048)]] = Field(
        default_factory=lambda: [32, 64, 128],
        min_length=1,
        max_length=6,
        description="Filters of each 3x3 convolution. Each halves the picture behind it; the "
        "mean over what the last one leaves goes to the embedding.",
    )
    embedding_size: int = Field(64, ge=1, le=4096, description="Size of the embedding.")
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the features before the embedding dropped while training.",
    )


class XceptionConfig(Section):
    """Xception (Chollet 2017) with random weights, for pictures of 71 pixels and more."""

    kind: Literal["xception"] = Field("xception", description="Which encoder.")
    pooling: Literal["mean", "max"] = Field(
        "mean",
        description="What of the last feature maps is the embedding: the mean or the largest "
        "value of each.",
    )


Encoder = Annotated[LstmConfig | CnnConfig | XceptionConfig, Field(discriminator="kind")]


Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class ModelConfig(Section):
    """One encoder for both items, one head for the pair."""

    encoder: Encoder = Field(
        default_factory=LstmConfig, description="The encoder both items share."
    )
    head: Head = Field(
        default_factory=AbsDiffProductConfig,
        description="What turns two embeddings into a score.",
    )
    precision: Precision = Field(
        "float32",
        description="What the encoder computes in. Weights, embeddings, head and loss are "
        "float32 always. `mixed_bfloat16` suits newer GPUs; `mixed_float16` older ones, with "
        "the loss scaled so that small gradients are not lost.",
    )
