"""Texts to token ids inside the graph, as `data.texts` does it. B texts, V known tokens.

Texts are expected in NFC, which training brings its own to; the graph cannot. Bytes that are no
UTF-8 become U+FFFD.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from job.preprocessing.vocabulary import FIRST_ID, PADDING_ID, UNKNOWN_ID, TokenKind, Vocabulary
from job.preprocessing.word_segmentation import separator_pattern, token_pattern


class CharacterIds(tf.Module):
    """Gives each character its number.

    Args:
        vocabulary: Its tokens are characters, ascending by code point.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(name="character_ids")
        points = np.array([ord(character) for character in vocabulary.tokens], np.int32)
        self.code_points = tf.constant(points)

    def __call__(self, text_B: tf.Tensor) -> tf.Tensor:
        """Strings (B,) -> int32 (B, T), padded with 0."""
        points = tf.strings.unicode_decode(text_B, "UTF-8")
        place = tf.searchsorted(self.code_points, points.flat_values)
        safe = tf.minimum(place, tf.size(self.code_points) - 1)
        is_known = tf.gather(self.code_points, safe) == points.flat_values
        ids = tf.where(is_known, safe + FIRST_ID, UNKNOWN_ID)
        return _padded(points.with_flat_values(ids))


class WordIds(tf.Module):
    """Gives each word its number.

    Args:
        vocabulary: Its tokens are words as `word_rules` cuts them.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(name="word_ids")
        words = tf.constant(list(vocabulary.tokens), tf.string)
        numbers = tf.range(FIRST_ID, vocabulary.size, dtype=tf.int32)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(words, numbers), UNKNOWN_ID
        )

    def __call__(self, text_B: tf.Tensor) -> tf.Tensor:
        """Strings (B,) -> int32 (B, T), padded with 0."""
        valid = tf.strings.unicode_transcode(text_B, "UTF-8", "UTF-8")
        spaced = tf.strings.regex_replace(valid, separator_pattern(), " ")
        # Behind every token a blank; what is not in a token is one already.
        words = tf.strings.split(tf.strings.regex_replace(spaced, token_pattern(), r"\0 "))
        return _padded(words.with_flat_values(self.table.lookup(words.flat_values)))


TOKENIZERS: Mapping[TokenKind, Callable[[Vocabulary], tf.Module]] = {
    "characters": CharacterIds,
    "words": WordIds,
}


def _padded(ids: tf.RaggedTensor) -> tf.Tensor:
    """Token ids as a rectangle; a text without a token gets the unknown one."""
    is_empty = tf.cast(ids.row_lengths() == 0, tf.int64)
    unknown = tf.fill([tf.reduce_sum(is_empty)], UNKNOWN_ID)
    filled = tf.concat([ids, tf.RaggedTensor.from_row_lengths(unknown, is_empty)], axis=1)
    return filled.to_tensor(PADDING_ID)
