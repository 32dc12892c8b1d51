"""The head section: what turns two embeddings u and v into the logit of a pair.

What each head can and cannot do stands in `config.compatibility`.
"""

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
