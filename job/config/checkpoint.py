"""The `checkpoint` section: how often training state is saved and how much is retained."""

from typing import Self

from pydantic import Field, model_validator

from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section


class CheckpointConfig(Section):
    """How often training state is saved and how much of it is retained."""

    every_steps: int | None = Field(
        None,
        ge=1,
        description="Optimizer steps between two saves; the end of each epoch is saved as "
        "well. Null: `every_seconds` decides.",
        json_schema_extra=MUTABLE,
    )
    every_seconds: float | None = Field(
        None,
        gt=0.0,
        description="Seconds between two saves; a new best epoch is always saved. Null, with "
        "`every_steps` null as well: as often as costs 3 % of the time, at least every 10 "
        "minutes.",
        json_schema_extra=MUTABLE,
    )
    keep_last: int = Field(
        3,
        ge=1,
        le=1000,
        description="Number of newest checkpoints retained in addition to the best one.",
        json_schema_extra=MUTABLE,
    )
    monitor: Monitor | None = Field(
        None,
        description="Metric that decides which epoch is the best one; its weights are "
        "retained. Null: that of `callbacks.early_stopping`, or `val_loss` without early "
        "stopping.",
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

    @model_validator(mode="after")
    def _one_interval(self) -> Self:
        if self.every_steps is not None and self.every_seconds is not None:
            raise ValueError(
                "every_steps and every_seconds are both set. One of them decides when a save "
                "is due. Set the other one to null"
            )
        return self
