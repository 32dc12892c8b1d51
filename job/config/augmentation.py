"""The `data.augmentation` section: random changes of items while training.

Every option is off by default. The random values depend on (seed, epoch, index) alone.
"""

from pydantic import Field

from job.config.section import Section


class ImageAugmentationConfig(Section):
    """Random changes of an image."""

    flip: bool = Field(
        False,
        description="Whether an image is flipped left to right with a probability of 1/2.",
    )
    crop: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Largest share of width and height that is cropped. The rest is resized "
        "to `data.size`.",
    )
    colour: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Largest change of brightness, contrast and saturation: each is "
        "multiplied by a number from 1 - colour to 1 + colour.",
    )


class SequenceAugmentationConfig(Section):
    """Random changes of a sequence."""

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
        description="Largest share of the time steps that is cropped, over both ends.",
    )
