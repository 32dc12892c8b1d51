"""Scores pairs by encoding each item once.

M items, P pairs, B items or pairs of a call, D embedding size.

The cost is linear in items, not in pairs: a word in a hundred pairs is encoded once. Every pair
is scored exactly once. A loss that compares the pairs of a batch is computed over consecutive
blocks of pairs, each pair being in one block.

Memory beyond the embeddings does not grow with their size nor with the number of pairs: as many
pairs are judged in one call as fit into `CALL_BYTES`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.models.distances import Distance
from job.models.losses.pair_batch import Gather, PairBatch, no_gather
from job.models.siamese import Siamese

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Budget of what one call that judges pairs has in memory.
CALL_BYTES = 32 << 20
# Arrays of the size of an embedding for each pair: both embeddings, in NumPy and in TensorFlow,
# and what a head and a loss derive from them.
_ARRAYS_PER_PAIR = 10

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PairScores:
    """Scores and losses of some pairs.

    Attributes:
        label: float32 (P,), 1.0 = match, 0.0 = no match.
        logit: float32 (P,), any real number, high = similar.
        score: float32 (P,), the sigmoid of the logit, in [0, 1]. Logits above 17 all have the
            score 1.0, so rank by `logit` and decide by `score`.
        loss: float32 (P,), the training loss of each pair. A loss that compares the pairs
            of a batch sees those of the pair's block, see `PairScorer.score`.
    """

    label: FloatArray
    logit: FloatArray
    score: FloatArray
    loss: FloatArray

    @property
    def is_finite(self) -> bool:
        """Whether every score can be ranked; otherwise the model has diverged."""
        return bool(np.isfinite(self.logit).all())


@dataclass(frozen=True, eq=False)
class _Part(PairBatch):
    """Some pairs of a batch; a loss compares them with those of the whole batch."""

    whole: PairBatch

    def gathered(self, gather: Gather) -> PairBatch:
        return self.whole


class PairScorer:
    """Encodes items and scores pairs of them with one model.

    The two graphs are traced once and reused in every validation.

    Args:
        siamese: The model; its current weights are used at each call.
        check_stop: Called between batches; raises to stop the work, for example on SIGTERM.
        distance: The distance that the head orders pairs by; None if it has none.

    Attributes:
        has_distance: Whether there is one, so that `similarities` can be called.
    """

    def __init__(
        self,
        siamese: Siamese,
        *,
        check_stop: Callable[[], None],
        distance: Distance | None = None,
    ) -> None:
        self._siamese = siamese
        self._check_stop = check_stop
        self._encode = tf.function(
            lambda items: siamese.encoder(items, training=False),
            input_signature=[tf.TensorSpec((None, *siamese.item.shape), siamese.item.dtype)],
            autograph=False,
        )
        embedding = tf.TensorSpec((None, self.embedding_size), tf.float32)
        label, number = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((None,), tf.int64)
        row = tf.TensorSpec((), tf.int32)
        signature = [row, row, label, embedding, embedding, number, number, number, number]
        self._judge = tf.function(self._judge_rows, input_signature=signature, autograph=False)
        self.has_distance = distance is not None
        if distance is not None:
            self._distances = tf.function(
                distance.table, input_signature=[embedding] * 2, autograph=False
            )

    @property
    def embedding_size(self) -> int:
        """Size of an embedding."""
        size: int = self._siamese.encoder.output_shape[-1]
        return size

    def _judge_rows(self, first: tf.Tensor, end: tf.Tensor, *batch: tf.Tensor) -> Any:
        """Logits, scores and losses of the rows from `first` to `end` of a batch of pairs."""
        label, left, right, *numbers = [rows[first:end] for rows in batch]
        logit = self._siamese.head([left, right], training=False)[:, 0]
        label_B, *others_B = batch
        whole = PairBatch(label_B, None, *others_B)
        part = _Part(*(label, logit, left, right, *numbers, whole))
        return logit, tf.sigmoid(logit), self._siamese.loss.of(part, gather=no_gather)

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

        def encoded() -> Iterator[tuple[IntArray, tf.Tensor]]:
            for rows, items in batches:
                self._check_stop()
                yield rows, self._encode(tf.constant(items))

        for rows, embedding_BD in read_late(encoded()):
            embedding_MD[rows] = embedding_BD.numpy()
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

        def judged() -> Iterator[tuple[slice, tuple[tf.Tensor, ...]]]:
            size = loss_block_size if self._siamese.loss.is_in_batch else self._pairs_per_call
            for start in range(0, len(label_P), size):
                u, v = left[start : start + size], right[start : start + size]
                block = (label_P[start : start + size], embedding_MD[u], embedding_MD[v])
                numbers = (item[u], item[v], item_class[u], item_class[v])
                yield from self._judged_block(start, tuple(map(tf.constant, block + numbers)))

        results = [np.empty_like(label_P) for _ in range(3)]
        for part, tensors in read_late(judged()):
            for result, tensor in zip(results, tensors, strict=True):
                result[part] = tensor.numpy()
        return PairScores(label_P, *results)

    def similarities(
        self, embedding_MD: FloatArray, query: IntArray, candidate: IntArray
    ) -> FloatArray:
        """Compares items by the distance of the head.

        Args:
            embedding_MD: float32 (M, D) from `embed`.
            query: int64 (Q,), rows of some items; the table of Q x C should fit into memory.
            candidate: int64 (C,), rows of what they are compared with.

        Returns:
            float32 (Q, C), large for similar items.
        """
        table_QC = np.empty((len(query), len(candidate)), np.float32)
        query_QD = tf.constant(embedding_MD[query])
        # A distance may be computed in float64.
        at_once = max(1, CALL_BYTES // (8 * (4 * self.embedding_size + 4 * len(query))))
        for start in range(0, len(candidate), at_once):
            self._check_stop()
            part = slice(start, start + at_once)
            candidates = tf.constant(embedding_MD[candidate[part]])
            np.negative(self._distances(query_QD, candidates).numpy(), out=table_QC[:, part])
        return table_QC

    def _judged_block(
        self, start: int, block: tuple[tf.Tensor, ...]
    ) -> Iterator[tuple[slice, tuple[tf.Tensor, ...]]]:
        """Judges the pairs from `start` on, as many in a call as the budget allows."""
        size = len(block[0])
        bytes_of_pair = self._siamese.loss.bytes_per_comparison * size
        # A loss without a table may need the whole block, whose memory is linear in its size.
        at_once = max(1, CALL_BYTES // bytes_of_pair) if bytes_of_pair else size
        for first in range(0, size, at_once):
            self._check_stop()
            end = min(first + at_once, size)
            yield slice(start + first, start + end), self._judge(first, end, *block)

    @property
    def _pairs_per_call(self) -> int:
        """Pairs that a call may judge when none is compared with another."""
        layers = self._siamese.head.layers
        widest = max(int(math.prod(layer.output.shape[1:])) for layer in layers)
        values = _ARRAYS_PER_PAIR * self.embedding_size + widest
        return max(1, CALL_BYTES // (4 * values))


def read_late(results: Iterable[_Result]) -> Iterator[_Result]:
    """Yields each result when the next one has been started.

    Reading a result waits for the device; until then it has the next call to work on.
    """
    waiting: list[_Result] = []
    for result in results:
        yield from waiting
        waiting = [result]
    yield from waiting
