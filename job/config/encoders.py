"""The encoder section: what turns an item into its embedding.

Which kind of item an encoder takes stands in `config.compatibility`.
"""

from typing import Annotated, Literal

from pydantic import Field

from job.config.section import Section


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
