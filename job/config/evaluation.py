"""The `evaluation` section: how the trained model is measured."""

from typing import Literal

from pydantic import Field

from job.config.section import MUTABLE, Section


class EvaluationConfig(Section):
    """How the trained model is evaluated."""

    threshold: Literal["accuracy", "f1", "eer"] = Field(
        "accuracy",
        description="Criterion of the decision threshold, chosen on validation: best accuracy, "
        "best F1, or equal error rates.",
        json_schema_extra=MUTABLE,
    )
    weights: Literal["best", "last"] = Field(
        "best",
        description="Weights that are evaluated and exported: those of the best epoch by "
        "`checkpoint.monitor`, or the last ones.",
        json_schema_extra=MUTABLE,
    )
    validation_pairs: int | None = Field(
        None,
        ge=2,
        description="Validation pairs that are scored after each epoch, at most: evenly "
        "spaced, with the same share of matches. Null: all. The threshold and the final "
        "metrics use all.",
    )
    batch_size: int = Field(
        1024,
        ge=1,
        description="Items encoded at a time. For a loss that compares the pairs of a batch it "
        "is also the batch of the evaluated loss.",
    )
    retrieval_queries: int = Field(
        1000,
        ge=0,
        description="Items of a split that are searched with, at most: evenly spaced. How near "
        "the items of their class or their known matches are gives recall_at_1, recall_at_10, "
        "mrr and map. Needs the head `cosine` or `euclidean`. 0: no search.",
    )
    every_steps: int | None = Field(
        None,
        ge=1,
        description="Optimizer steps between two validations inside an epoch, for long epochs. "
        "They are logged and exported; early stopping, the learning rate and the best epoch "
        "still follow the ends of epochs. Null: only those are validated.",
        json_schema_extra=MUTABLE,
    )
