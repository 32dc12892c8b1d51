"""Texts as token IDs: one for each character, or for each word.

ID 0 is padding and 1 an unknown token; the known tokens follow. They are counted over the
training items alone::

    vocabulary = build_vocabulary(section.tokens, items=items.values, rows=training_rows)
    ids = vocabulary.encode(items.values.take(rows))
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from job.config.data import CharactersConfig, Tokens, WordsConfig
from job.errors import DataError
from job.preprocessing.many_texts import code_points, words_of
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.word_segmentation import REGEX_VERSION, split_words
from job.types import Json

log = logging.getLogger(__name__)

PADDING_ID = 0
UNKNOWN_ID = 1
FIRST_ID = 2

TokenKind = Literal["characters", "words"]

_NUM_CODE_POINTS = 0x110000


@runtime_checkable
class Vocabulary(Protocol):
    """The known tokens and their IDs."""

    @property
    def kind(self) -> TokenKind:
        """What a token is."""
        ...

    @property
    def tokens(self) -> Sequence[str]:
        """The known tokens, without repeats; the first has the ID FIRST_ID."""
        ...

    @property
    def size(self) -> int:
        """Number of IDs, including padding and unknown."""
        ...

    def encode(self, items: RaggedArray) -> RaggedArray:
        """Token IDs of every item.

        Args:
            items: uint8, valid UTF-8 in each row.

        Returns:
            int32 in [1, size), an ID for each token that `cut` returns.
        """
        ...

    def cut(self, text: str) -> list[str]:
        """The tokens of a text, known or not; the text itself if it has none."""
        ...

    def to_json(self) -> Json:
        """A record that `vocabulary_from_json` reads."""
        ...


@dataclass(frozen=True)
class CharacterVocabulary:
    """The known characters.

    IDs follow code points, so they do not depend on the order of the texts.

    Args:
        tokens: Characters in ascending order of code points, without repeats.
    """

    kind: ClassVar[TokenKind] = "characters"

    tokens: str

    def __post_init__(self) -> None:
        if list(self.tokens) != sorted(set(self.tokens)):
            raise ValueError("characters must ascend by code point, without repeats")

    @property
    def size(self) -> int:
        return len(self.tokens) + FIRST_ID

    @cached_property
    def _ids(self) -> NDArray[np.int32]:
        """The ID of each code point up to the largest known one, and of all beyond it."""
        known = np.array([ord(token) for token in self.tokens], np.int64)
        ids = np.full(int(known.max(initial=0)) + 2, UNKNOWN_ID, np.int32)
        ids[known] = np.arange(FIRST_ID, self.size)
        return ids

    def encode(self, items: RaggedArray) -> RaggedArray:
        points = code_points(items)
        ids = self._ids[np.minimum(points.values, len(self._ids) - 1)]
        return _not_empty(RaggedArray(ids, points.offsets))

    def cut(self, text: str) -> list[str]:
        return list(text) or [text]

    def to_json(self) -> Json:
        return {"kind": self.kind, "tokens": list(self.tokens)}


@dataclass(frozen=True)
class WordVocabulary:
    """The known words; `word_segmentation` defines what a word is.

    Args:
        tokens: Words, without repeats.
        regex_version: The release of `regex` that split the texts they are from.
    """

    kind: ClassVar[TokenKind] = "words"

    tokens: tuple[str, ...]
    regex_version: str = REGEX_VERSION

    def __post_init__(self) -> None:
        if len(set(self.tokens)) != len(self.tokens) or "" in self.tokens:
            raise ValueError("words must not be empty, nor repeated")

    @property
    def size(self) -> int:
        return len(self.tokens) + FIRST_ID

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, start=FIRST_ID)}

    def encode(self, items: RaggedArray) -> RaggedArray:
        words = words_of(items)
        found = map(self._ids.get, words.distinct, repeat(UNKNOWN_ID))
        ids = np.fromiter(found, np.int32, len(words.distinct))
        return _not_empty(RaggedArray(ids[words.numbers.values], words.numbers.offsets))

    def cut(self, text: str) -> list[str]:
        return split_words(text) or [text]

    def to_json(self) -> Json:
        return {
            "kind": self.kind,
            "tokens": list(self.tokens),
            "regex_version": self.regex_version,
        }


def build_vocabulary(
    section: Tokens, *, items: RaggedArray, rows: NDArray[np.int64]
) -> Vocabulary:
    """Counts the tokens of some items, reading them in chunks.

    Args:
        section: What a token is.
        items: uint8, the UTF-8 bytes of every item.
        rows: int64 (R,), the training items, without repeats.

    Raises:
        DataError: No word occurs often enough.
    """
    chunks = _chunks(items, rows)
    if isinstance(section, CharactersConfig):
        seen = np.zeros(_NUM_CODE_POINTS, np.bool_)
        for chunk in chunks:
            seen[code_points(chunk).values] = True
        return CharacterVocabulary("".join(map(chr, np.flatnonzero(seen).tolist())))
    counts: Counter[str] = Counter()
    for chunk in chunks:
        words = words_of(chunk)
        found = np.bincount(words.numbers.values, minlength=len(words.distinct))
        counts.update(dict(zip(words.distinct, found.tolist(), strict=True)))
    return WordVocabulary(_most_common(counts, section))


def encode_all(vocabulary: Vocabulary, items: RaggedArray) -> RaggedArray:
    """Token IDs of every item, in as few bytes as they fit; reads the items in chunks.

    Args:
        vocabulary: Encodes them.
        items: uint8, valid UTF-8 in each row.

    Returns:
        uint16, or int32 if an ID needs it: `vocabulary.encode(items)`.
    """
    dtype = id_dtype(vocabulary)
    rows = np.arange(len(items))
    ids, lengths = [np.zeros(0, dtype)], [np.zeros(0, np.int64)]
    for chunk in _chunks(items, rows):
        tokens = vocabulary.encode(chunk)
        ids.append(tokens.values.astype(dtype))
        lengths.append(tokens.lengths)
    return RaggedArray(np.concatenate(ids), offsets_of(np.concatenate(lengths)))


def id_dtype(vocabulary: Vocabulary) -> "np.dtype[np.generic]":
    """The smallest of uint16 and int32 that every ID fits."""
    return np.dtype(np.uint16 if vocabulary.size <= 1 << 16 else np.int32)


def vocabulary_from_json(record: Mapping[str, Json]) -> Vocabulary:
    """Reads what `to_json` wrote.

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
            f"vocabulary: {str(dict(record))[:80]!r} is not a vocabulary of this release "
            f"({error!r}). Restore the file it was read from, or create it again."
        ) from error


def _characters_from(tokens: list[str], record: Mapping[str, Json]) -> Vocabulary:
    if any(len(token) != 1 for token in tokens):
        raise ValueError("a character is one code point")
    return CharacterVocabulary("".join(tokens))


def _words_from(tokens: list[str], record: Mapping[str, Json]) -> Vocabulary:
    version = str(record["regex_version"])
    vocabulary = WordVocabulary(tuple(tokens), version)
    if version != REGEX_VERSION:
        log.warning(
            "words split by another release of regex",
            extra={
                "vocabulary": version,
                "here": REGEX_VERSION,
                "why": "characters that only one of the two knows are split differently",
                "do": "nothing, unless the texts hold characters that are a few years old",
            },
        )
    return vocabulary


_READERS: Mapping[TokenKind, Callable[[list[str], Mapping[str, Json]], Vocabulary]] = {
    "characters": _characters_from,
    "words": _words_from,
}


def _most_common(counts: Counter[str], section: WordsConfig) -> tuple[str, ...]:
    """The known words, most common first; ties in order of code points."""
    kept = [word for word, count in counts.items() if count >= section.min_count]
    if not kept:
        most = max(counts.values(), default=0)
        raise DataError(
            f"data.tokens.min_count: no word occurs {section.min_count} times in the training "
            f"items (the most common occurs {most} times). Lower it to at most {max(most, 1)}, "
            "or set data.tokens.kind to characters."
        )
    kept.sort(key=lambda word: (-counts[word], word))
    return tuple(kept[: section.max_vocabulary])


def _chunks(items: RaggedArray, rows: NDArray[np.int64]) -> Iterator[RaggedArray]:
    """Some texts at a time, so that all of them need not fit into memory."""
    for some in items.chunks(rows):
        yield items.take(some)


def _not_empty(ids: RaggedArray) -> RaggedArray:
    """Adds an unknown token to rows without one: a text without tokens is still an item."""
    is_empty = ids.lengths == 0
    if not is_empty.any():
        return ids
    values = np.insert(ids.values, ids.offsets[:-1][is_empty], UNKNOWN_ID)
    return RaggedArray(values, offsets_of(np.maximum(ids.lengths, 1)))
