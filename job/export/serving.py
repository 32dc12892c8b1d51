"""The trained model with its preprocessing inside the graph. B pairs, T time, D embedding size.

What is exported takes strings: nobody has to rebuild the tokeniser to use it::

    model = tf.saved_model.load("export/scorer")
    model.score(left=["recieve"], right=["receive"])["score"]
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.data.vocabulary import UNKNOWN_ID
from job.models.siamese import Siamese

_FIRST_CHARACTER_ID = UNKNOWN_ID + 1


def code_points_of(characters: str) -> npt.NDArray[np.int32]:
    """Code points of a vocabulary, int32 (V,), in its order."""
    return np.array([ord(character) for character in characters], np.int32)


class TextModule(tf.Module):
    """Scores pairs of strings and embeds strings.

    Args:
        siamese: The trained model, built outside any strategy.
        code_points: int32 (V,), ascending; character i has the token id i + 2.
        threshold: A pair matches when its score is at least this.
    """

    def __init__(
        self, siamese: Siamese, *, code_points: npt.NDArray[np.int32], threshold: float
    ) -> None:
        super().__init__(name="siamese")
        self.encoder = siamese.encoder
        self.head = siamese.head
        # An LSTM with dropout captures its random state also where it does not use it, and
        # only attributes are exported.
        self.state = [variable.value for variable in siamese.scorer.variables]
        self.code_points = tf.constant(code_points, tf.int32)
        self.threshold = tf.constant(threshold, tf.float32)

    def _ids(self, texts: tf.Tensor) -> tf.Tensor:
        points = tf.strings.unicode_decode(texts, "UTF-8")
        place = tf.searchsorted(self.code_points, points.flat_values)
        safe = tf.minimum(place, tf.size(self.code_points) - 1)
        is_known = tf.gather(self.code_points, safe) == points.flat_values
        ids = tf.where(is_known, safe + _FIRST_CHARACTER_ID, UNKNOWN_ID)
        return points.with_flat_values(ids).to_tensor(0)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def embed(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Strings (B,) -> `embedding` float32 (B, D)."""
        return {"embedding": self.encoder(self._ids(text), training=False)}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.string, name="left"),
            tf.TensorSpec((None,), tf.string, name="right"),
        ]
    )
    def score(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        """Two string vectors (B,) -> `score` float32 (B,) in [0, 1] and `match` bool (B,)."""
        u = self.encoder(self._ids(left), training=False)
        v = self.encoder(self._ids(right), training=False)
        score = tf.sigmoid(self.head([u, v], training=False)[:, 0])
        return {"score": score, "match": score >= self.threshold}
