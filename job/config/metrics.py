"""The `metrics` section: the HTTP endpoint that Prometheus scrapes."""

from pydantic import Field

from job.config.section import MUTABLE, Section


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
        description="Seconds that the endpoint stays up after the run has ended, so that the "
        "last values are scraped; twice the scrape interval is enough. 0: none.",
        json_schema_extra=MUTABLE,
    )
