"""Where and how a run executes: run, checkpoint, distribution, metrics, logging."""

from typing import Literal

from pydantic import Field, field_validator

from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section, rule
from job.config.uris import RUN_PLACES, checked_place


class RunConfig(Section):
    """Names the run and the folder it lives in."""

    name: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Name of the run: its folder below `run.root` and the label of its "
        "metrics. Lower-case letters, digits and inner hyphens, at most 63 characters.",
        json_schema_extra=rule(
            "1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end"
        ),
    )
    root: str = Field(
        "runs",
        min_length=1,
        description="Folder that holds runs, relative to the working directory, or a bucket "
        "as `gs://bucket/prefix`; the run lives in `<root>/<name>`. Moving a run to another "
        "root does not change it.",
        json_schema_extra=MUTABLE,
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**32 - 1,
        description="Seed of everything random: initial weights, order of pairs, dropout, "
        "splits.",
    )
    allow_emulator: bool = Field(
        False,
        description="Whether a `gs://` root may be the emulator that STORAGE_EMULATOR_HOST "
        "names, used without credentials. With false that variable is an error, so that no "
        "run ends up in a stand-in by accident. Has no effect where it is not set.",
        json_schema_extra=MUTABLE,
    )

    @field_validator("root")
    @classmethod
    def _can_be_opened(cls, root: str) -> str:
        return checked_place(root, allowed=RUN_PLACES)


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


class DistributionConfig(Section):
    """Which devices of this machine train together."""

    devices: str = Field(
        "auto",
        pattern=r"^(auto|(cpu|gpu)(:[1-9][0-9]{0,2})?)$",
        description="`auto`: every GPU, or one CPU where there is none. `cpu:2`: the CPU as "
        "two logical devices. `gpu:4`: the first four GPUs. Each device is one replica and "
        "takes an equal share of the global batch.",
        json_schema_extra=rule("auto, cpu, gpu, cpu:N or gpu:N with N from 1 to 999"),
    )


class MetricsConfig(Section):
    """The HTTP endpoint that Prometheus scrapes."""

    enabled: bool = Field(
        True,
        description="Whether `/metrics`, `/livez`, `/readyz` and `/startupz` are served.",
        json_schema_extra=MUTABLE,
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; `0.0.0.0` for every interface, as in a container.",
        json_schema_extra=MUTABLE,
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="TCP port; 0 takes any free one and writes it to the log and "
        "`summary.json`.",
        json_schema_extra=MUTABLE,
    )
    linger_seconds: float = Field(
        0.0,
        ge=0.0,
        le=3600.0,
        description="Seconds the endpoint stays up after the run has ended, so that its last "
        "values are scraped; twice the scrape interval is enough. 0 leaves at once.",
        json_schema_extra=MUTABLE,
    )


class LoggingConfig(Section):
    """What is written to standard output."""

    format: Literal["auto", "console", "text", "json"] = Field(
        "auto",
        description="`console`: for a person at a terminal, with a progress bar. `text`: one "
        "line an event with key=value fields. `json`: one object a line. `auto`: `console` on "
        "a terminal, else `text`.",
        json_schema_extra=MUTABLE,
    )
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        description="Least severe level that is written.",
        json_schema_extra=MUTABLE,
    )
    every_seconds: float = Field(
        10.0,
        gt=0.0,
        le=3600.0,
        description="Seconds between two progress lines where there is no terminal.",
        json_schema_extra=MUTABLE,
    )
