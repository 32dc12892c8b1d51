"""The `evaluation` section: how the trained model is measured."""

from typing import Literal

from pydantic import Field

from job.config.section import MUTABLE, Section
from job.config.targets import Goal, GoalText, parse_goal


class EvaluationConfig(Section):
    """How the trained model is evaluated."""

    threshold: GoalText = Field(
        "accuracy",
        description="What the decision threshold is chosen for, on validation: best "
        "`accuracy`, best `f1`, equal error rates (`eer`), a target (`precision >= 0.99`, "
        "`recall >= 0.9`, `false_accepts <= 0.001`), or the least cost of errors, as in "
        "`cost(false_accept=5, false_reject=1)`.",
        json_schema_extra=MUTABLE,
    )
    confidence: float = Field(
        0.95,
        ge=0.5,
        le=0.999,
        description="How surely new pairs must meet the target: the share of data sets of "
        "this size whose chosen threshold does. No effect on a `threshold` without a target.",
        json_schema_extra=MUTABLE,
    )
    unsupported: Literal["refuse", "warn"] = Field(
        "refuse",
        description="What to do if validation has too few pairs for the target, whatever the "
        "model: end before training, or warn and choose a threshold that meets it on the "
        "validation pairs alone.",
        json_schema_extra=MUTABLE,
    )
    match_share: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="Share of the pairs that match where the model will be used. Threshold, "
        "precision, F1, accuracy and probabilities are those for this share. Null: the share "
        "in the data.",
        json_schema_extra=MUTABLE,
    )
    calibration: Literal["platt", "isotonic", "none"] = Field(
        "platt",
        description="How a logit becomes the probability of a match, fitted on validation: "
        "`platt` (two numbers), `isotonic` (any rising curve; for a thousand pairs or more), "
        "`none` (the score itself).",
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

    @property
    def goal(self) -> Goal:
        """What the threshold is chosen for."""
        return parse_goal(self.threshold)
