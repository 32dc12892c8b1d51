"""Texts: how long they are, and what the vocabulary lacks of them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable
from job.inspection.chunking import parts
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import UNKNOWN_ID, TokenKind, Vocabulary

_TOKENS_KEPT = 20


@dataclass(frozen=True)
class UnknownTokens:
    """Tokens that have no number of their own: no, or too few, training items hold them.

    Attributes:
        kind: What a token is.
        num_tokens: Tokens of the items.
        num_unknown: Those of them that are unknown.
        num_items: Items that hold one.
        num_distinct: Different unknown tokens.
        commonest: The commonest of them, equally common ones by code points.
    """

    kind: TokenKind
    num_tokens: int
    num_unknown: int
    num_items: int
    num_distinct: int
    commonest: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of all tokens, those that are unknown."""
        return self.num_unknown / max(self.num_tokens, 1)


def code_points(texts: RaggedArray) -> RaggedArray:
    """The characters of texts as numbers.

    Args:
        texts: uint8, valid UTF-8 in each row.

    Returns:
        uint32, one code point per character.
    """
    # All rows are decoded at once; they are found again by counting the bytes that begin a
    # character (all but 10xxxxxx).
    begins = (texts.values & 0xC0) != 0x80  # type: ignore[operator]
    lengths = np.diff(offsets_of(begins)[texts.offsets])
    text = texts.values.tobytes().decode()
    return RaggedArray(np.frombuffer(text.encode("utf-32-le"), "<u4"), offsets_of(lengths))


def characters_of(texts: RaggedArray, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many characters some texts have, int64 (R,)."""
    sizes = texts.lengths_of(rows)
    found = [code_points(texts.take(part)).lengths for part in parts(rows, sizes=sizes)]
    return np.concatenate([np.zeros(0, np.int64), *found])


def unknown_tokens(
    items: ItemTable, rows: NDArray[np.int64], *, vocabulary: Vocabulary
) -> UnknownTokens:
    """What a vocabulary lacks of some texts.

    Args:
        items: Texts.
        rows: int64 (R,), which of them.
        vocabulary: That of the training items.
    """
    num_tokens = num_unknown = num_items = 0
    found: Counter[str] = Counter()
    for part in parts(rows, sizes=items.values.lengths_of(rows)):
        tokens = vocabulary.encode(items.values.take(part))
        unknown = tokens.values == UNKNOWN_ID
        in_item = np.diff(offsets_of(unknown)[tokens.offsets])
        lacking = np.flatnonzero(in_item)
        num_tokens += len(unknown)
        num_unknown += int(in_item.sum())
        num_items += len(lacking)
        texts = items.texts(part[lacking])
        for place, text in zip(lacking.tolist(), texts, strict=True):
            cut = vocabulary.cut(text)
            at = np.flatnonzero(tokens.row(place) == UNKNOWN_ID)
            found.update(cut[position] for position in at.tolist())
    commonest = sorted(found, key=lambda token: (-found[token], token))[:_TOKENS_KEPT]
    return UnknownTokens(
        vocabulary.kind, num_tokens, num_unknown, num_items, len(found), tuple(commonest)
    )
