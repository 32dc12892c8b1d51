"""What a text is cut into; `data.texts` does it."""

from typing import Annotated, Literal

from pydantic import Field

from job.config.section import Section


class CharactersConfig(Section):
    """Each character is a token."""

    kind: Literal["characters"] = Field("characters", description="What a token is.")


class WordsConfig(Section):
    """Each word is a token, each Chinese character or kana, and each sign that is no letter."""

    kind: Literal["words"] = Field("words", description="What a token is.")
    max_vocabulary: int = Field(
        50_000,
        ge=1,
        le=10_000_000,
        description="Most words with a number of their own: the commonest of the training "
        "items. Every other word is the unknown one.",
    )
    min_count: int = Field(
        2,
        ge=1,
        description="How often a word has to occur in the training items to have a number of "
        "its own. With 1 the unknown word is never trained.",
    )


Tokens = Annotated[CharactersConfig | WordsConfig, Field(discriminator="kind")]
