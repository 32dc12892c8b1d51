"""The `checkpoint` section: how often training state is saved and how much is retained."""

from pydantic import Field

from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section


class CheckpointConfig(Section):
    """How often training state is saved and how much of it is retained."""

    every_steps: int = Field(
        500,
        ge=1,
        description="Optimizer steps between two saves; the end of an epoch is always saved.",
        json_schema_extra=MUTABLE,
    )
    keep_last: int = Field(
        3,
        ge=1,
        description="Number of newest checkpoints retained in addition to the best one.",
        json_schema_extra=MUTABLE,
    )
    monitor: Monitor = Field(
        "val_loss",
        description="Metric that decides which epoch is the best one; its checkpoint is "
        "retained.",
        json_schema_extra=MUTABLE,
    )
    outage_budget_seconds: float = Field(
        600.0,
        gt=0.0,
        le=86400.0,
        description="Longest time that a run waits for a bucket that does not answer. Then the "
        "run ends with exit code 69 and can be resumed. No effect on a folder.",
        json_schema_extra=MUTABLE,
    )
