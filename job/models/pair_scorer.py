"""Scores pairs by encoding each item once. M items, B items or pairs per batch, D embedding.

The cost is linear in items, not in pairs: a word in a hundred pairs is encoded once. Every pair
is scored exactly once. A loss that compares the pairs of a batch is computed over consecutive
blocks of pairs, each pair being in one block.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.models.losses.pair_batch import PairBatch, no_gather
from job.models.siamese import Siamese

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_PAIRS_PER_CALL = 65_536


@dataclass(frozen=True)
class PairScores:
    """Scores and losses of some pairs.

    Attributes:
        label: float32 (P,), 1.0 = match, 0.0 = no match.
        score: float32 (P,), in [0, 1], high = similar.
        loss: float32 (P,), the training loss of each pair. A loss that compares the pairs
            of a batch sees those of the pair's block, see `PairScorer.score`.
    """

    label: FloatArray
    score: FloatArray
    loss: FloatArray


class PairScorer:
    """Encodes items and scores pairs of them with one model.

    The two graphs are traced once and reused in every validation.

    Args:
        siamese: The model; its current weights are used at each call.
        check_stop: Called between batches; raises to stop the work, for example on SIGTERM.
    """

    def __init__(self, siamese: Siamese, *, check_stop: Callable[[], None]) -> None:
        self._siamese = siamese
        self._check_stop = check_stop
        self._encode = tf.function(
            lambda items: siamese.encoder(items, training=False),
            input_signature=[tf.TensorSpec((None, *siamese.item.shape), siamese.item.dtype)],
        )
        embedding = tf.TensorSpec((None, self.embedding_size), tf.float32)
        label, number = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((None,), tf.int64)
        signature = [label, embedding, embedding, number, number, number, number]
        self._judge = tf.function(self._judge_batch, input_signature=signature)

    @property
    def embedding_size(self) -> int:
        """Size of an embedding."""
        size: int = self._siamese.encoder.output_shape[-1]
        return size

    def _judge_batch(
        self, label_B: tf.Tensor, left_BD: tf.Tensor, right_BD: tf.Tensor, *numbers_B: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logit_B = self._siamese.head([left_BD, right_BD], training=False)[:, 0]
        batch = PairBatch(label_B, logit_B, left_BD, right_BD, *numbers_B)
        return tf.sigmoid(logit_B), self._siamese.loss.of(batch, gather=no_gather)

    def embed(
        self, batches: Iterable[tuple[IntArray, npt.NDArray[np.generic]]], *, num_items: int
    ) -> FloatArray:
        """Encodes items.

        Args:
            batches: Pairs of int64 (B,) rows of the result and items (B, ...).
            num_items: M, the rows of the result. Rows that are in no batch stay NaN.

        Returns:
            float32 (M, D).
        """
        embedding_MD = np.full((num_items, self.embedding_size), np.nan, np.float32)
        for rows, items in batches:
            self._check_stop()
            embedding_MD[rows] = self._encode(tf.constant(items)).numpy()
        return embedding_MD

    def score(
        self,
        embedding_MD: FloatArray,
        *,
        left: IntArray,
        right: IntArray,
        label: npt.NDArray[np.uint8],
        item: IntArray,
        item_class: IntArray,
        loss_block_size: int,
    ) -> PairScores:
        """Scores pairs of encoded items.

        Args:
            embedding_MD: float32 (M, D) from `embed`.
            left: int64 (P,), row of the first item of each pair in `embedding_MD`.
            right: int64 (P,), of the second.
            label: (P,), 1 = match, 0 = no match.
            item: int64 (M,), row of each item in the dataset.
            item_class: int64 (M,), class of each item; -1 = unknown.
            loss_block_size: Consecutive pairs that a loss compares with each other, >= 1; the
                last block may be smaller. It has no effect on scores, nor on a loss of one
                pair at a time.
        """
        label_P = np.asarray(label, np.float32)
        score, loss = np.empty_like(label_P), np.empty_like(label_P)
        size = loss_block_size if self._siamese.loss.is_in_batch else _PAIRS_PER_CALL
        for start in range(0, len(label_P), size):
            self._check_stop()
            part = slice(start, start + size)
            u, v = left[part], right[part]
            arrays = (
                *(label_P[part], embedding_MD[u], embedding_MD[v]),
                *(item[u], item[v], item_class[u], item_class[v]),
            )
            score_B, loss_B = self._judge(*map(tf.constant, arrays))
            score[part], loss[part] = score_B.numpy(), loss_B.numpy()
        return PairScores(label_P, score, loss)
