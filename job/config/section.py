"""The base of every configuration section, and the marks its fields may carry.

epochs: int = Field(10, ge=1, description="...", json_schema_extra=MUTABLE)
name: str = Field(pattern="^[a-z]+$", json_schema_extra=rule("lower-case letters"))
"""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict

# A field that carries this in `json_schema_extra` may differ between the attempts of a run;
# every other field is fixed (see `config.resume`).
MUTABLE: dict[str, Any] = {"mutable": True}

# YAML and JSON editors show the text under this keyword instead of a pattern.
PATTERN_RULE = "patternErrorMessage"

# A required field of several kinds names its default kind under this keyword.
DEFAULT_KIND = "default_kind"


def default_kind(kind: str) -> dict[str, Any]:
    """Says which kind a required section has unless its `kind` says otherwise."""
    return {DEFAULT_KIND: kind}


def rule(words: str) -> dict[str, Any]:
    """Says what a `pattern` asks for, to be read after "must be"."""
    return {PATTERN_RULE: words}


class Section(BaseModel):
    """One section of the configuration: frozen, strictly typed, finite, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def by_kind(union: Any) -> dict[str, Any]:
    """The section classes of a union such as `Loss`, by the `kind` that chooses each.

    Args:
        union: `Annotated[A | B, Field(discriminator="kind")]`.
    """
    return {
        get_args(section.model_fields["kind"].annotation)[0]: section
        for section in get_args(get_args(union)[0])
    }
