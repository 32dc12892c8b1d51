"""Texts to token IDs inside the graph, as training encodes them. B texts, T tokens.

Texts must be in NFC: training normalises its texts, but the graph cannot. Bytes that are not
UTF-8 become U+FFFD.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from job.preprocessing.vocabulary import FIRST_ID, PADDING_ID, UNKNOWN_ID, TokenKind, Vocabulary
from job.preprocessing.word_segmentation import SEPARATOR_PATTERN, TOKEN_PATTERN


class TokenIds(tf.Module):
    """Looks up the ID of each token.

    Args:
        vocabulary: The known tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(name="token_ids")
        self._split = _SPLITTERS[vocabulary.kind]
        tokens = tf.constant(list(vocabulary.tokens), tf.string)
        ids = tf.range(FIRST_ID, vocabulary.size, dtype=tf.int32)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tokens, ids), UNKNOWN_ID
        )

    def __call__(self, text_B: tf.Tensor) -> tf.Tensor:
        """Strings (B,) to int32 (B, T), padded with 0; a text without tokens is unknown."""
        tokens = self._split(text_B)
        ids = tokens.with_flat_values(self.table.lookup(tokens.flat_values))
        is_empty = tf.cast(ids.row_lengths() == 0, tf.int64)
        unknown = tf.fill([tf.reduce_sum(is_empty)], UNKNOWN_ID)
        filled = tf.concat([ids, tf.RaggedTensor.from_row_lengths(unknown, is_empty)], axis=1)
        return filled.to_tensor(PADDING_ID)


def _characters(text_B: tf.Tensor) -> tf.RaggedTensor:
    return tf.strings.unicode_split(text_B, "UTF-8")


def _words(text_B: tf.Tensor) -> tf.RaggedTensor:
    valid = tf.strings.unicode_transcode(text_B, "UTF-8", "UTF-8")
    spaced = tf.strings.regex_replace(valid, SEPARATOR_PATTERN, " ")
    # Put a space after every token; characters outside tokens are spaces already.
    return tf.strings.split(tf.strings.regex_replace(spaced, TOKEN_PATTERN, r"\0 "))


_SPLITTERS: Mapping[TokenKind, Callable[[tf.Tensor], tf.RaggedTensor]] = {
    "characters": _characters,
    "words": _words,
}
