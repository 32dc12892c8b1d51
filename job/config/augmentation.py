"""How items are varied while training; `data.feeding` does it.

Every option is off unless it is given, and what is drawn depends on (seed, epoch, index) alone.
"""

from pydantic import Field

from job.config.section import Section


class ImageAugmentationConfig(Section):
    """Variations of a picture."""

    flip: bool = Field(
        False, description="Whether a picture is mirrored, left to right, half of the time."
    )
    crop: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Largest share of width and height that is cut off before the rest is "
        "brought back to `data.size`.",
    )
    colour: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Largest change of brightness, contrast and saturation: each is "
        "multiplied by a number from 1 - colour to 1 + colour.",
    )


class SequenceAugmentationConfig(Section):
    """Variations of a sequence."""

    jitter: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="Standard deviation of normal noise added to each number, in standard "
        "deviations of its feature over the training items.",
    )
    crop: float = Field(
        0.0,
        ge=0.0,
        le=0.9,
        description="Largest share of the time steps that is cut off, from both ends together.",
    )
