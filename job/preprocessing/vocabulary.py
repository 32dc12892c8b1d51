"""Texts as numbers: a number for each character, or for each word.

0 is padding and 1 an unknown token; the known ones follow. What is known is counted over the
training items alone::

    vocabulary = build_vocabulary(section.tokens, items=items.values, rows=training_rows)
    ids = vocabulary.encode(items.values.take(rows))
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise, repeat
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from job.config.data import CharactersConfig, Tokens, WordsConfig
from job.errors import DataError
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.word_segmentation import (
    LAST_CODE_POINT,
    LAST_OF_FIRST_PLANE,
    UNICODE_VERSION,
    cutter,
)
from job.types import Json

log = logging.getLogger(__name__)

PADDING_ID = 0
UNKNOWN_ID = 1
FIRST_ID = 2

TokenKind = Literal["characters", "words"]

# Texts are counted in portions of this size, so that they need not fit in memory.
_BYTES_AT_A_TIME = 1 << 20
# In UTF-8, code points beyond the first plane, and only those, begin with such a byte.
_BEYOND_FIRST_PLANE = 0xF0


@runtime_checkable
class Vocabulary(Protocol):
    """The tokens that have a number of their own."""

    @property
    def kind(self) -> TokenKind:
        """What a token is."""
        ...

    @property
    def tokens(self) -> Sequence[str]:
        """The known tokens, each once; the first has the number FIRST_ID."""
        ...

    @property
    def size(self) -> int:
        """How many numbers there are, padding and unknown included."""
        ...

    def encode(self, items: RaggedArray) -> RaggedArray:
        """Token ids of every item.

        Args:
            items: uint8, valid UTF-8 in each row.

        Returns:
            int32, one id for each token that `cut` gives, in [1, size).
        """
        ...

    def cut(self, text: str) -> list[str]:
        """The tokens of a text, known or not; of a text without any, the text as it is."""
        ...

    def to_json(self) -> Json:
        """What `vocabulary_from_json` reads."""
        ...


@dataclass(frozen=True)
class CharacterVocabulary:
    """The characters that have a number of their own.

    Numbers follow code points, so the same texts give the same numbers in whatever order they
    come.

    Args:
        tokens: Each once, ascending by code point.
    """

    kind: ClassVar[TokenKind] = "characters"

    tokens: str

    def __post_init__(self) -> None:
        if list(self.tokens) != sorted(set(self.tokens)):
            raise ValueError("characters must ascend by code point, each once")

    @property
    def size(self) -> int:
        return len(self.tokens) + FIRST_ID

    @cached_property
    def _ids(self) -> NDArray[np.int32]:
        """Number of each code point up to the largest known one, and of all beyond it."""
        known = _code_points(self.tokens)
        ids = np.full(int(known.max(initial=0)) + 2, UNKNOWN_ID, np.int32)
        ids[known] = np.arange(FIRST_ID, self.size)
        return ids

    def encode(self, items: RaggedArray) -> RaggedArray:
        # Decoding all items at once is what makes this fast; rows are found again by counting
        # the bytes that begin a character (all but 10xxxxxx).
        begins = (items.values & 0xC0) != 0x80  # type: ignore[operator]
        offsets = offsets_of(begins)[items.offsets]
        lengths = np.diff(offsets)
        points = _code_points(items.values.tobytes().decode())
        ids = self._ids[np.minimum(points, len(self._ids) - 1)]
        empty = lengths == 0
        if empty.any():
            ids = np.insert(ids, offsets[:-1][empty], UNKNOWN_ID)
        return RaggedArray(ids, offsets_of(np.maximum(lengths, 1)))

    def cut(self, text: str) -> list[str]:
        return list(text) or [text]

    def to_json(self) -> Json:
        return {"kind": self.kind, "tokens": list(self.tokens)}


@dataclass(frozen=True)
class WordVocabulary:
    """The words that have a number of their own; `word_rules` says what a word is.

    Args:
        tokens: Each once.
        unicode_version: Of the tables that words were cut with.
    """

    kind: ClassVar[TokenKind] = "words"

    tokens: tuple[str, ...]
    unicode_version: str = UNICODE_VERSION

    def __post_init__(self) -> None:
        if len(set(self.tokens)) != len(self.tokens) or "" in self.tokens:
            raise ValueError("words must occur once each, none of them empty")

    @property
    def size(self) -> int:
        return len(self.tokens) + FIRST_ID

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, start=FIRST_ID)}

    def encode(self, items: RaggedArray) -> RaggedArray:
        number_of, unknown = self._ids.get, repeat(UNKNOWN_ID)
        ids: list[int] = []
        ends: list[int] = []
        for words in _words_of(items):
            # A text without a word still is an item.
            ids.extend(map(number_of, words or ("",), unknown))
            ends.append(len(ids))
        return RaggedArray(np.array(ids, np.int32), np.array([0, *ends], np.int64))

    def cut(self, text: str) -> list[str]:
        return cutter()(text) or [text]

    def to_json(self) -> Json:
        return {
            "kind": self.kind,
            "tokens": list(self.tokens),
            "unicode_version": self.unicode_version,
        }


def build_vocabulary(
    section: Tokens, *, items: RaggedArray, rows: NDArray[np.int64]
) -> Vocabulary:
    """Counts what occurs in some items; reads them in portions.

    Args:
        section: What a token is.
        items: uint8, the UTF-8 bytes of every item.
        rows: int64 (R,), the training items, each once.

    Raises:
        DataError: No word occurs often enough.
    """
    portions = _portions(items, rows)
    if isinstance(section, CharactersConfig):
        seen = np.zeros(LAST_CODE_POINT + 1, np.bool_)
        for portion in portions:
            seen[_code_points(portion.values.tobytes().decode())] = True
        return CharacterVocabulary("".join(map(chr, np.flatnonzero(seen).tolist())))
    counts: Counter[str] = Counter()
    for portion in portions:
        counts.update(chain.from_iterable(_words_of(portion)))
    return WordVocabulary(_commonest(counts, section))


def vocabulary_from_json(record: Mapping[str, Json]) -> Vocabulary:
    """The vocabulary that `to_json` wrote.

    Raises:
        DataError: The record is something else.
    """
    try:
        tokens = record["tokens"]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("tokens must be a list of texts")
        return _READERS[record["kind"]](tokens, record)  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"vocabulary: {str(dict(record))[:80]!r} is not what was written ({error}). "
            "Restore the file it was read from, or make it again."
        ) from error


def _characters_from(tokens: list[str], record: Mapping[str, Json]) -> Vocabulary:
    if any(len(token) != 1 for token in tokens):
        raise ValueError("a character is one code point")
    return CharacterVocabulary("".join(tokens))


def _words_from(tokens: list[str], record: Mapping[str, Json]) -> Vocabulary:
    version = record["unicode_version"]
    if version != UNICODE_VERSION:
        log.warning(
            "words cut by another Unicode version",
            extra={
                "vocabulary": version,
                "here": UNICODE_VERSION,
                "why": "characters that only one of the two knows are cut differently",
                "do": "nothing, unless the texts hold characters that are a few years old",
            },
        )
    return WordVocabulary(tuple(tokens), str(version))


_READERS: Mapping[TokenKind, Callable[[list[str], Mapping[str, Json]], Vocabulary]] = {
    "characters": _characters_from,
    "words": _words_from,
}


def _commonest(counts: Counter[str], section: WordsConfig) -> tuple[str, ...]:
    """The words to number: the commonest first, equally common ones by code points."""
    kept = [word for word, count in counts.items() if count >= section.min_count]
    if not kept:
        most = max(counts.values(), default=0)
        raise DataError(
            f"data.tokens.min_count: no word of the training items occurs "
            f"{section.min_count} times (the commonest occurs {most} times). Lower it to at "
            f"most {max(most, 1)}, or set data.tokens.kind to characters."
        )
    kept.sort(key=lambda word: (-counts[word], word))
    return tuple(kept[: section.max_vocabulary])


def _portions(items: RaggedArray, rows: NDArray[np.int64]) -> Iterator[RaggedArray]:
    portion = np.cumsum(items.lengths_of(rows)) // _BYTES_AT_A_TIME
    for part in np.split(rows, np.flatnonzero(np.diff(portion)) + 1):
        yield items.take(part)


def _words_of(items: RaggedArray) -> Iterator[list[str]]:
    """The words of each item."""
    data = items.values.tobytes()
    is_beyond = items.values >= _BEYOND_FIRST_PLANE  # type: ignore[operator]
    num_beyond = np.diff(offsets_of(is_beyond)[items.offsets])
    common = cutter(last=LAST_OF_FIRST_PLANE)
    for (start, end), beyond in zip(
        pairwise(items.offsets.tolist()), num_beyond.tolist(), strict=True
    ):
        text = data[start:end].decode()
        yield cutter()(text) if beyond else common(text)


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
