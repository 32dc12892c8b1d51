"""The `export` section: what is written for use outside this program."""

from typing import Literal

from pydantic import Field, model_validator

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
    onnx: bool = Field(
        False,
        description="Whether encoder and head are exported as ONNX as well, and checked by the "
        "golden pairs. Needs the extra: `pip install siamese-job[onnx]`.",
        json_schema_extra=MUTABLE,
    )
    quantize: Literal["none", "float16", "int8"] = Field(
        "none",
        description="Type of the weights in a second ONNX file of the encoder, of half or a "
        "quarter of the size; what that changes on the golden pairs is in the manifest. Needs "
        "`export.onnx: true`.",
        json_schema_extra=MUTABLE,
    )

    @model_validator(mode="after")
    def _has_something_to_quantize(self) -> "ExportConfig":
        if self.quantize != "none" and not self.onnx:
            raise ValueError(
                "`quantize` has no effect without ONNX files (got quantize: "
                f"{self.quantize}): set `onnx` to true, or leave `quantize` out"
            )
        return self
