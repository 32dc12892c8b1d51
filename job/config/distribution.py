"""The `distribution` section: which devices of this machine train together."""

from pydantic import Field

from job.config.section import MUTABLE, Section, rule


class DistributionConfig(Section):
    """Which devices of this machine train together."""

    devices: str = Field(
        "auto",
        pattern=r"^(auto|(cpu|gpu)(:[1-9][0-9]{0,2})?)$",
        description="`auto`: every GPU, or one CPU where there is none. `cpu:2`: the CPU as "
        "two logical devices. `gpu:4`: the first four GPUs. Each device is one replica and "
        "takes an equal share of the global batch.",
        json_schema_extra=MUTABLE | rule("auto, cpu, gpu, cpu:N or gpu:N with N from 1 to 999"),
    )
