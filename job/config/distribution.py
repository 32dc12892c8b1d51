"""The `distribution` section: which devices and workers train together."""

from typing import Literal

from pydantic import Field

from job.config.section import MUTABLE, Section, rule

Compression = Literal["none", "bfloat16"]


class DistributionConfig(Section):
    """Which devices of a machine train together, and how long workers wait for each other."""

    devices: str = Field(
        "auto",
        pattern=r"^(auto|(cpu|gpu)(:[1-9][0-9]{0,2})?)$",
        description="`auto`: every GPU, or one CPU where there is none. `cpu:2`: the CPU as "
        "two logical devices. `gpu:4`: the first four GPUs. Each device is one replica and "
        "takes an equal share of the global batch.",
        json_schema_extra=MUTABLE | rule("auto, cpu, gpu, cpu:N or gpu:N with N from 1 to 999"),
    )
    compression: Compression = Field(
        "none",
        description="How gradients travel between replicas. `bfloat16` halves the bytes: each "
        "replica rounds its share to 8 bits of mantissa, and the sum is rounded likewise.",
    )
    arrival_seconds: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="Longest time that workers wait for each other at their start, in seconds.",
        json_schema_extra=MUTABLE,
    )
    silence_seconds: float = Field(
        15.0,
        ge=3,
        le=3_600,
        description="A worker that gave no sign of life for so long is lost, in seconds. "
        "Threads give one every second, also while a step is computed.",
        json_schema_extra=MUTABLE,
    )
    supervise: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether a second process watches over the one that trains: it answers "
        "probes and scrapes whatever that one does, kills it when it is frozen and starts it "
        "again. `auto`: if there are several workers.",
        json_schema_extra=MUTABLE,
    )
    restarts: int = Field(
        3,
        ge=0,
        le=1_000,
        description="How often the supervisor starts a training process again that lost a peer "
        "or made no progress, without a new step in between. 0: never.",
        json_schema_extra=MUTABLE,
    )
    frozen_seconds: float = Field(
        30.0,
        ge=3.0,
        le=86_400.0,
        description="A training process of which no thread runs for so long is killed by its "
        "supervisor, in seconds. Before its first sign of life it gets six times as long.",
        json_schema_extra=MUTABLE,
    )
