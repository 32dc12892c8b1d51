"""The `run` section: the name, the root folder and the seed of a run."""

from pydantic import Field, field_validator

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
        description="Seed of all random numbers: initial weights, order of pairs, dropout, "
        "splits.",
    )
    allow_emulator: bool = Field(
        False,
        description="Whether a `gs://` root may be the emulator that STORAGE_EMULATOR_HOST "
        "names, used without credentials. With false that variable is an error, so that no "
        "run is stored in an emulator by accident. No effect if it is not set.",
        json_schema_extra=MUTABLE,
    )
    init_from: str | None = Field(
        None,
        min_length=1,
        description="Initial weights: the folder or `gs://` URI of a run (its best weights), "
        "of an `export` folder or of a `pair_model.keras`. Relative to the working directory. "
        "The models must have the same shapes and, for texts, the same vocabulary. Read when "
        "the run starts, not when it resumes. Null: random weights.",
    )
    takeover: bool = Field(
        False,
        description="Whether to take over an unfinished run that belongs to another Helm "
        "release. That release loses the run for good.",
        json_schema_extra=MUTABLE,
    )

    @field_validator("root")
    @classmethod
    def _can_be_opened(cls, root: str) -> str:
        return checked_place(root, allowed=RUN_PLACES)

    @field_validator("init_from")
    @classmethod
    def _can_be_read(cls, source: str | None) -> str | None:
        return None if source is None else checked_place(source, allowed=RUN_PLACES)
