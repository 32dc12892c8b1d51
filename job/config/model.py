"""The model section: the shared encoder and the head that scores a pair of embeddings."""

from typing import Literal

from pydantic import Field

from job.config.encoders import Encoder, LstmConfig
from job.config.heads import AbsDiffProductConfig, Head
from job.config.section import Section

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
