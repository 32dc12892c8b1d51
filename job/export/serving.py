"""The trained model with its preprocessing inside the graph.

B pairs or items, T time steps, F features, S pixels, D embedding size, K knots.

The exported model takes strings, sequences with any padding, and images as bytes. Callers
need no tokenizer::

    model = tf.saved_model.load("export/scorer")
    model.score(left=["recieve"], right=["receive"])["score"]

To compare many items, embed each once and compare the embeddings::

    u_BD = model.embed(item=["recieve"])["embedding"]
    v_BD = model.embed(item=["receive"])["embedding"]
    model.compare(left_embedding=u_BD, right_embedding=v_BD)["score"]
"""

from functools import partial

import numpy as np
import tensorflow as tf

from job.data.dataset import Statistics
from job.evaluation.calibration import Calibration
from job.export.tokenizers import TokenIds
from job.models.siamese import Siamese
from job.preprocessing.vocabulary import Vocabulary

UNCALIBRATED = Calibration("none")


# Nothing here has control flow that AutoGraph would have to convert.
_graph = partial(tf.function, autograph=False)


class PairModule(tf.Module):
    """Base of the modules that score pairs and embed items, one subclass per kind of item.

    Attributes `score`, `embed` and `compare` are the signatures of the exported model. `encode`
    takes items as the encoder does, such as token IDs, and needs this program's tokenizer.

    Args:
        siamese: The trained model, built outside any strategy.
        threshold: Lowest score of a pair that matches.
        calibration: From the logit to the probability of a match.
    """

    def __init__(
        self, siamese: Siamese, *, threshold: float, calibration: Calibration = UNCALIBRATED
    ) -> None:
        super().__init__(name="siamese")
        self.encoder = siamese.encoder
        self.head = siamese.head
        # An LSTM with dropout captures its random state even where it is not used, and only
        # attributes are exported.
        self.state = [variable.value for variable in siamese.scorer.variables]
        # A tensor here would be an input of the graph, also in ONNX.
        self._threshold = np.float32(threshold)
        self._calibration = calibration
        encoder_input = tf.TensorSpec((None, *siamese.item.shape), siamese.item.dtype, "items")
        self.encode = _graph(self._encode, input_signature=[encoder_input])
        embedding_BD = partial(tf.TensorSpec, (None, siamese.encoder.output_shape[-1]))
        self.compare = _graph(
            self._compare,
            input_signature=[
                embedding_BD(tf.float32, "left_embedding"),
                embedding_BD(tf.float32, "right_embedding"),
            ],
        )

    def _encode(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        """Items (B, ...) for the encoder to `embedding`, float32 (B, D)."""
        return {"embedding": tf.cast(self.encoder(items, training=False), tf.float32)}

    def _embedding_of(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        """A call of `encode` in the graph: tracing an Xception takes seconds."""
        embedding: dict[str, tf.Tensor] = self.encode(items)
        return embedding

    def _score_of(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        """Items for the encoder to what `_compare` says of them."""
        u, v = self._embedding_of(left)["embedding"], self._embedding_of(right)["embedding"]
        return self._compare(u, v)

    def _compare(
        self, left_embedding: tf.Tensor, right_embedding: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Two float32 (B, D) to what is known of each pair.

        Returns:
            `score`, float32 (B,) in [0, 1]; `logit`, float32 (B,), the same before the sigmoid;
            `probability`, float32 (B,), the calibrated score; and `match`, bool (B,).
        """
        logit = self.head([left_embedding, right_embedding], training=False)[:, 0]
        logit = tf.cast(logit, tf.float32)
        score = tf.sigmoid(logit)
        return {
            "score": score,
            "logit": logit,
            "probability": probability_of(logit, self._calibration),
            "match": score >= self._threshold,
        }


class TextModule(PairModule):
    """Takes strings in NFC, as UTF-8.

    Args:
        siamese: See `PairModule`.
        vocabulary: The known tokens.
        threshold: See `PairModule`.
        calibration: See `PairModule`.
    """

    def __init__(
        self,
        siamese: Siamese,
        *,
        vocabulary: Vocabulary,
        threshold: float,
        calibration: Calibration = UNCALIBRATED,
    ) -> None:
        super().__init__(siamese, threshold=threshold, calibration=calibration)
        text_B = partial(tf.TensorSpec, (None,), tf.string)
        self.tokens = TokenIds(vocabulary)  # only the tables of attributes are exported
        self.ids_of = _graph(self.tokens, input_signature=[text_B("text")])
        self.embed = _graph(self._embed, input_signature=[text_B("item")])
        self.score = _graph(self._score, input_signature=[text_B("left"), text_B("right")])

    def _embed(self, item: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._embedding_of(self.ids_of(item))

    def _score(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score_of(self.ids_of(left), self.ids_of(right))


class SequenceModule(PairModule):
    """Takes float32 (B, T, F) vectors and int64 (B,) lengths; steps beyond are not read.

    Args:
        siamese: See `PairModule`.
        threshold: See `PairModule`.
        calibration: See `PairModule`.
    """

    def __init__(
        self, siamese: Siamese, *, threshold: float, calibration: Calibration = UNCALIBRATED
    ) -> None:
        super().__init__(siamese, threshold=threshold, calibration=calibration)
        vector_BTF = partial(tf.TensorSpec, (None, *siamese.item.shape), tf.float32)
        length_B = partial(tf.TensorSpec, (None,), tf.int64)
        self.embed = _graph(
            self._embed, input_signature=[vector_BTF("item"), length_B("item_length")]
        )
        self.score = _graph(
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
    """Takes uint8 (B, S, S, 3) images: RGB, resized to `data.size`.

    Args:
        siamese: See `PairModule`.
        threshold: See `PairModule`.
        calibration: See `PairModule`.
    """

    def __init__(
        self, siamese: Siamese, *, threshold: float, calibration: Calibration = UNCALIBRATED
    ) -> None:
        super().__init__(siamese, threshold=threshold, calibration=calibration)
        pixels_BSS3 = partial(tf.TensorSpec, (None, *siamese.item.shape), tf.uint8)
        self.embed = _graph(self._embed, input_signature=[pixels_BSS3("item")])
        self.score = _graph(
            self._score, input_signature=[pixels_BSS3("left"), pixels_BSS3("right")]
        )

    def _embed(self, item: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._embedding_of(tf.cast(item, tf.float32))

    def _score(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score_of(tf.cast(left, tf.float32), tf.cast(right, tf.float32))


def serving_module(
    siamese: Siamese,
    *,
    statistics: Statistics,
    threshold: float,
    calibration: Calibration = UNCALIBRATED,
) -> PairModule:
    """The module to export, by the kind of item that the model takes.

    Args:
        siamese: The trained model, built outside any strategy.
        statistics: The vocabulary of texts. Those of other kinds are in the encoder.
        threshold: Lowest score of a pair that matches.
        calibration: From the logit to the probability of a match.
    """
    if isinstance(statistics, Vocabulary):
        return TextModule(
            siamese, vocabulary=statistics, threshold=threshold, calibration=calibration
        )
    return {"sequence": SequenceModule, "image": ImageModule}[siamese.item.kind](
        siamese, threshold=threshold, calibration=calibration
    )


def probability_of(logit_B: tf.Tensor, calibration: Calibration) -> tf.Tensor:
    """`Calibration.apply` in the graph, float32 (B,), of operations that ONNX has, too."""
    if calibration.kind == "isotonic":
        return _interpolated(logit_B, calibration)
    if calibration.kind == "platt":
        slope, offset = calibration.logit
        logit_B = slope * logit_B + offset
    return tf.sigmoid(logit_B)


def _interpolated(logit_B: tf.Tensor, calibration: Calibration) -> tf.Tensor:
    """Linear between the knots, constant beyond them."""
    logit_K = np.array(calibration.logit, np.float32)
    probability_K = np.array(calibration.probability, np.float32)
    rise_K = np.diff(probability_K, append=probability_K[-1:])
    run_K = np.diff(logit_K, append=np.float32(np.inf))
    # Counting costs K comparisons a pair, and there is no search in ONNX.
    is_above_BK = logit_B[:, None] >= logit_K
    knot_B = tf.maximum(tf.reduce_sum(tf.cast(is_above_BK, tf.int32), axis=1) - 1, 0)
    beyond_B = tf.maximum(logit_B - tf.gather(logit_K, knot_B), 0.0)
    slope_K = np.divide(rise_K, run_K, out=np.zeros_like(rise_K), where=run_K > 0)
    return tf.gather(probability_K, knot_B) + beyond_B * tf.gather(slope_K, knot_B)


def _with_nan(vector_BTF: tf.Tensor, length_B: tf.Tensor, *, name: str) -> tf.Tensor:
    """Sequences for the encoder, which expects NaN behind the last step.

    Raises:
        tf.errors.InvalidArgumentError: A length is not in [1, T], or a value is not finite.
    """
    steps = tf.shape(vector_BTF, tf.int64)[1]
    tf.debugging.Assert(
        tf.reduce_all((length_B >= 1) & (length_B <= steps)),
        [f"{name}_length must be from 1 to the number of steps of {name}, got", length_B],
    )
    is_step_BT1 = tf.sequence_mask(length_B, steps)[:, :, None]
    tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(vector_BTF) | ~is_step_BT1),
        [f"{name} must be finite up to {name}_length: NaN marks the end of a sequence"],
    )
    return tf.where(is_step_BT1, vector_BTF, float("nan"))
