"""Dropout that does not depend on the number of replicas. N items, F features.

Keras gives every replica the same random numbers, so two replicas would drop the same features
in both halves of a batch. Here every replica draws the numbers of the global batch and uses
those of its pairs (docs/adr/0008)::

    kept = PairDropout(0.2, seed=7, name="dropout")(vectors_NTF)

Source: Srivastava et al. 2014, Dropout; the same features at every step of an item, as in Gal
and Ghahramani 2016 and in `keras.layers.LSTM`.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from job.models.sides import BOTH, RIGHT, micro_batch_in_call, sides_in_call


@keras.saving.register_keras_serializable("siamese_job")
class PairDropout(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Sets features of an item to zero during training, and scales the others.

    The items are those of `Siamese.embed_sides`: the left ones of the replica's pairs, then the
    right ones, or one side alone as `sides.encoding` says. Separate calls, the left side first,
    draw what one call draws and leave the same random state. So do the calls of micro batches,
    in any order and number, and `next_step` once they are over. An item of several steps loses
    the same features at each step. In inference mode nothing is drawn.

    Args:
        rate: Share of the features, in [0, 1).
        seed: Seed of this layer.
        **options: Name and dtype of the layer.
    """

    def __init__(self, rate: float, *, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """From (N, F) or (N, T, F) to the same shape."""
        if not training:
            return inputs
        sides, part = sides_in_call(), micro_batch_in_call()
        num_items, num_features = ops.shape(inputs)[0], inputs.shape[-1]
        replica = tf.distribute.get_replica_context()
        # Side, replica and micro batch, pair, feature: neither the number of replicas nor that
        # of calls changes a number.
        num_pairs = (num_items + len(sides) - 1) // len(sides)
        num_parts = replica.num_replicas_in_sync * part.count
        shape = (len(BOTH), num_parts, num_pairs, num_features)
        number_SRPF = tf.random.stateless_uniform(shape, seed=self._next_seed(sides))
        own = replica.replica_id_in_sync_group * part.count + part.index
        number_SPF = tf.gather(number_SRPF, own, axis=1)
        own_SPF = number_SPF[sides[0] : sides[-1] + 1]
        number_NF = ops.reshape(own_SPF, (-1, num_features))[:num_items]
        scale_NF = ops.where(number_NF < self.rate, 0.0, 1.0 / (1.0 - self.rate))
        scale = scale_NF if len(inputs.shape) == 2 else ops.expand_dims(scale_NF, 1)
        return inputs * ops.cast(scale, inputs.dtype)

    def _next_seed(self, sides: tuple[int, ...]) -> tf.Tensor:
        """The seed of the pairs of this call, int64 (2,)."""
        # A call with the left items leaves it to the one with the right items, which is last.
        # Those of micro batches leave it to `next_step`.
        if sides[-1] == RIGHT and micro_batch_in_call().count == 1:
            return self.seed_generator.next()
        return tf.identity(self.seed_generator.state.value)

    def next_step(self) -> None:
        """Moves on to other numbers, after the micro batches of a step."""
        self.seed_generator.next()

    def get_config(self) -> dict[str, Any]:
        """The arguments that build this layer again."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
