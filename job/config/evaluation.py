"""The `evaluation` section: how the trained model is measured."""

from typing import Literal

from pydantic import Field

from job.config.section import Section


class EvaluationConfig(Section):
    """How the trained model is measured."""

    threshold: Literal["accuracy", "f1", "eer"] = Field(
        "accuracy",
        description="What the decision threshold is chosen for, on validation: best accuracy, "
        "best F1, or equal error rates.",
    )
    weights: Literal["best", "last"] = Field(
        "best",
        description="Which weights are measured and exported: those of the best epoch by "
        "`checkpoint.monitor`, or the last ones.",
    )
    batch_size: int = Field(
        1024,
        ge=1,
        description="Items encoded at a time. For a loss that compares the pairs of a batch "
        "also the pairs that a measured loss compares.",
    )
