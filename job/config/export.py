"""The `export` section: what is written for use outside this program."""

from pydantic import Field

from job.config.section import MUTABLE, Section


class ExportConfig(Section):
    """What is written for use outside this program."""

    enabled: bool = Field(
        True,
        description="Whether the encoder and the scorer are exported.",
        json_schema_extra=MUTABLE,
    )
    num_golden_pairs: int = Field(
        16,
        ge=1,
        le=1024,
        description="Test pairs whose scores are stored with the export and checked again "
        "after it is loaded back.",
        json_schema_extra=MUTABLE,
    )
