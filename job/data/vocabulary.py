"""Characters as numbers.

0 is padding and 1 an unknown character; the known ones follow in the order of their code
points, so the same texts give the same numbers in whatever order they come.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.ragged import RaggedArray, offsets_of
from job.errors import DataError
from job.types import Json

PADDING_ID = 0
UNKNOWN_ID = 1
_FIRST_ID = 2
_NUM_CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Vocabulary:
    """The characters that have a number of their own.

    Args:
        characters: Each once, ascending by code point.
    """

    characters: str

    def __post_init__(self) -> None:
        if list(self.characters) != sorted(set(self.characters)):
            raise ValueError("characters must ascend by code point, each once")

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "Vocabulary":
        """The vocabulary of some texts; take those of the training split only."""
        seen = np.zeros(_NUM_CODE_POINTS, np.bool_)
        seen[_code_points("".join(texts))] = True
        return cls("".join(map(chr, np.flatnonzero(seen).tolist())))

    @property
    def size(self) -> int:
        """How many numbers there are, padding and unknown included."""
        return len(self.characters) + _FIRST_ID

    def encode(self, items: RaggedArray) -> RaggedArray:
        """Token ids of every item.

        Args:
            items: uint8, valid UTF-8 in each row.

        Returns:
            int32, one id per character, in [1, size).
        """
        ids = np.full(_NUM_CODE_POINTS, UNKNOWN_ID, np.int32)
        ids[_code_points(self.characters)] = np.arange(_FIRST_ID, self.size)
        # Decoding all items at once is what makes this fast; rows are found again by counting
        # the bytes that begin a character (all but 10xxxxxx).
        begins = (items.values & 0xC0) != 0x80  # type: ignore[operator]
        lengths = np.diff(offsets_of(begins)[items.offsets])
        return RaggedArray(
            ids[_code_points(items.values.tobytes().decode())], offsets_of(lengths)
        )

    def to_json(self) -> Json:
        return {"kind": "characters", "characters": self.characters}

    @classmethod
    def from_json(cls, record: Mapping[str, Json]) -> "Vocabulary":
        """The vocabulary that `to_json` wrote.

        Raises:
            DataError: The record is something else.
        """
        characters = record.get("characters")
        try:
            if record.get("kind") != "characters" or not isinstance(characters, str):
                raise ValueError("kind must be 'characters' and characters a string")
            return cls(characters)
        except ValueError as error:
            raise DataError(
                f"vocabulary: {str(dict(record))[:80]!r} is not what was written ({error}). "
                "Restore the file it was read from, or export the model again."
            ) from error


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
