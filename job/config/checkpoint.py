"""The `checkpoint` section: how often training state is saved and how much is retained."""

from pydantic import Field

from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section


class CheckpointConfig(Section):
    """How often training state is written and how much of it is kept."""

    every_steps: int = Field(
        500,
        ge=1,
        description="Optimizer steps between two saves; the end of an epoch is always saved.",
        json_schema_extra=MUTABLE,
    )
    keep_last: int = Field(
        3,
        ge=1,
        description="Newest checkpoints kept besides the best one.",
        json_schema_extra=MUTABLE,
    )
    monitor: Monitor = Field(
        "val_loss",
        description="Measurement that decides which epoch is the best one; its checkpoint is "
        "kept.",
        json_schema_extra=MUTABLE,
    )
    outage_budget_seconds: float = Field(
        600.0,
        gt=0.0,
        le=86400.0,
        description="Longest time without a sign of life from the bucket that a run waits "
        "through; then it ends with exit code 69 and can be started again. Without effect on "
        "a folder.",
        json_schema_extra=MUTABLE,
    )
