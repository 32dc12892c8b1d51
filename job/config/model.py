"""The model section: the shared encoder and the head that scores a pair of embeddings."""

from typing import Literal

from pydantic import Field

from job.config.heads import AbsDiffProductConfig, Head
from job.config.section import Section


class LstmConfig(Section):
    """A recurrent encoder; its last state is the embedding."""

    kind: Literal["lstm"] = Field("lstm", description="Which encoder.")
    units: int = Field(
        32,
        ge=1,
        le=4096,
        description="Size of the LSTM state. The embedding has this size, twice it when "
        "`bidirectional`.",
    )
    embedding_size: int = Field(
        32, ge=1, le=4096, description="Size of the vector that a character is looked up as."
    )
    bidirectional: bool = Field(
        False, description="Whether a second LSTM reads the item from its end."
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of the LSTM's inputs dropped while training."
    )


class ModelConfig(Section):
    """One encoder for both items, one head for the pair."""

    encoder: LstmConfig = Field(
        default_factory=LstmConfig, description="The encoder both items share."
    )
    head: Head = Field(
        default_factory=AbsDiffProductConfig,
        description="What turns two embeddings into a score.",
    )
