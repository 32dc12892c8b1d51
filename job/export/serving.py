"""The trained model with its preprocessing inside the graph.

B pairs or items, T time steps, F features, S pixels, D embedding size.

What is exported takes items as people have them: strings, sequences padded with anything,
pictures of bytes. Nobody has to rebuild the tokeniser to use it::

    model = tf.saved_model.load("export/scorer")
    model.score(left=["recieve"], right=["receive"])["score"]
"""

from functools import partial

import tensorflow as tf

from job.data.dataset import Statistics
from job.export.tokenizers import TOKENIZERS
from job.models.siamese import Siamese
from job.preprocessing.vocabulary import Vocabulary


class PairModule(tf.Module):
    """Scores pairs and embeds items; a kind of items adds `score` and `embed` to this.

    Args:
        siamese: The trained model, built outside any strategy.
        threshold: A pair matches when its score is at least this.
    """

    def __init__(self, siamese: Siamese, *, threshold: float) -> None:
        super().__init__(name="siamese")
        self.encoder = siamese.encoder
        self.head = siamese.head
        # An LSTM with dropout captures its random state also where it does not use it, and
        # only attributes are exported.
        self.state = [variable.value for variable in siamese.scorer.variables]
        self.threshold = tf.constant(threshold, tf.float32)

    def _embedding_of(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        """Items (B, ...) as the encoder takes them -> `embedding` float32 (B, D)."""
        return {"embedding": tf.cast(self.encoder(items, training=False), tf.float32)}

    def _score_of(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        """Items likewise -> `score` float32 (B,) in [0, 1] and `match` bool (B,)."""
        u, v = self._embedding_of(left)["embedding"], self._embedding_of(right)["embedding"]
        logit = self.head([u, v], training=False)[:, 0]
        score = tf.sigmoid(tf.cast(logit, tf.float32))
        return {"score": score, "match": score >= self.threshold}


class TextModule(PairModule):
    """Takes strings, in NFC and UTF-8.

    Args:
        siamese: See `PairModule`.
        vocabulary: Numbers of the tokens.
        threshold: See `PairModule`.
    """

    def __init__(self, siamese: Siamese, *, vocabulary: Vocabulary, threshold: float) -> None:
        super().__init__(siamese, threshold=threshold)
        self.ids_of = TOKENIZERS[vocabulary.kind](vocabulary)
        text_B = partial(tf.TensorSpec, (None,), tf.string)
        self.embed = tf.function(self._embed, input_signature=[text_B("item")])
        self.score = tf.function(self._score, input_signature=[text_B("left"), text_B("right")])

    def _embed(self, item: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._embedding_of(self.ids_of(item))

    def _score(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score_of(self.ids_of(left), self.ids_of(right))


class SequenceModule(PairModule):
    """Takes float32 (B, T, F) vectors and int64 (B,) lengths; what lies behind is not read.

    Args:
        siamese: See `PairModule`.
        threshold: See `PairModule`.
    """

    def __init__(self, siamese: Siamese, *, threshold: float) -> None:
        super().__init__(siamese, threshold=threshold)
        vector_BTF = partial(tf.TensorSpec, (None, *siamese.item.shape), tf.float32)
        length_B = partial(tf.TensorSpec, (None,), tf.int64)
        self.embed = tf.function(
            self._embed, input_signature=[vector_BTF("item"), length_B("item_length")]
        )
        self.score = tf.function(
            self._score,
            input_signature=[
                *(vector_BTF("left"), length_B("left_length")),
                *(vector_BTF("right"), length_B("right_length")),
            ],
        )

    def _embed(self, item: tf.Tensor, item_length: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._embedding_of(_with_nan(item, item_length, name="item"))

    def _score(
        self,
        left: tf.Tensor,
        left_length: tf.Tensor,
        right: tf.Tensor,
        right_length: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        return self._score_of(
            _with_nan(left, left_length, name="left"),
            _with_nan(right, right_length, name="right"),
        )


class ImageModule(PairModule):
    """Takes uint8 (B, S, S, 3) pictures: red, green and blue at `data.size`.

    Args:
        siamese: See `PairModule`.
        threshold: See `PairModule`.
    """

    def __init__(self, siamese: Siamese, *, threshold: float) -> None:
        super().__init__(siamese, threshold=threshold)
        pixels_BSS3 = partial(tf.TensorSpec, (None, *siamese.item.shape), tf.uint8)
        self.embed = tf.function(self._embed, input_signature=[pixels_BSS3("item")])
        self.score = tf.function(
            self._score, input_signature=[pixels_BSS3("left"), pixels_BSS3("right")]
        )

    def _embed(self, item: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._embedding_of(tf.cast(item, tf.float32))

    def _score(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score_of(tf.cast(left, tf.float32), tf.cast(right, tf.float32))


def serving_module(siamese: Siamese, *, statistics: Statistics, threshold: float) -> PairModule:
    """What is exported for the kind of items that a model takes.

    Args:
        siamese: The trained model, built outside any strategy.
        statistics: Of texts their vocabulary; what other kinds have is in the encoder.
        threshold: A pair matches when its score is at least this.
    """
    if isinstance(statistics, Vocabulary):
        return TextModule(siamese, vocabulary=statistics, threshold=threshold)
    return {"sequence": SequenceModule, "image": ImageModule}[siamese.item.kind](
        siamese, threshold=threshold
    )


def _with_nan(vector_BTF: tf.Tensor, length_B: tf.Tensor, *, name: str) -> tf.Tensor:
    """Sequences as the encoder takes them: NaN behind their ends.

    Raises:
        tf.errors.InvalidArgumentError: A length is not in [1, T], or a number is not finite.
    """
    steps = tf.shape(vector_BTF, tf.int64)[1]
    tf.debugging.Assert(
        tf.reduce_all((length_B >= 1) & (length_B <= steps)),
        [f"{name}_length must be from 1 to the number of steps of {name}, got", length_B],
    )
    is_step_BT1 = tf.sequence_mask(length_B, steps)[:, :, None]
    tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(vector_BTF) | ~is_step_BT1),
        [f"{name} must be finite up to {name}_length: a NaN would pass for the end"],
    )
    return tf.where(is_step_BT1, vector_BTF, float("nan"))
