"""The `logging` section: what is written to standard output."""

from typing import Literal

from pydantic import Field

from job.config.section import MUTABLE, Section


class LoggingConfig(Section):
    """What is written to standard output."""

    format: Literal["auto", "console", "text", "json"] = Field(
        "auto",
        description="`console`: for a person at a terminal, with a progress bar. `text`: one "
        "line per event with key=value fields. `json`: one object per line. `auto`: `console` "
        "on a terminal, else `text`.",
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
        description="Seconds between two progress lines without a terminal.",
        json_schema_extra=MUTABLE,
    )
