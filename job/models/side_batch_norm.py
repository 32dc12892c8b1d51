"""Batch normalisation with separate statistics for the two sides of a batch.

S sides in a call, B images of a side, H height, W width, C channels, N images of all sides, R
replicas.

The two towers of the book's model are two calls of one encoder, so the left and the right items
of a batch have separate statistics. Here one call encodes both sides, and each is normalised by
its own statistics, over all replicas (docs/adr/0012)::

    maps_NHWC = SideBatchNorm(name="block1_conv1_bn")(maps_NHWC, training=True)
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from job.models.recomputation import is_recomputing
from job.models.sides import sides_in_call

# All axes of a side's maps but the channels.
_BHW = (1, 2, 3)
# From maps, scale and offset to the normalised maps, and means and variances (S, C).
_Normalization = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


@keras.saving.register_keras_serializable("siamese_job")
class SideBatchNorm(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras has no types
    """Keras' batch normalisation; only the batch statistics during training differ.

    The rows of a call are those of `Siamese.embed_sides`, and `sides.encoding` says of which
    sides. Each side of the global batch is normalised by its own mean and variance. The moving
    averages take in one side after the other, as if Keras' layer had been called for each.

    Weights and inference are those of Keras' layer. Statistics are float32 in any precision.

    Args:
        options: As for Keras' layer, on maps of four axes with the channels last.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """From (N, H, W, C) to the same shape."""
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
        num_sides = len(sides_in_call())
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            normalized = _on_one_replica(num_sides, epsilon=self.epsilon)
        else:
            normalized = _on_all(replicas, num_sides=num_sides, epsilon=self.epsilon)
        gamma_C, beta_C = (tf.convert_to_tensor(w.value) for w in (self.gamma, self.beta))
        output_NHWC, *statistics = normalized(inputs, gamma_C, beta_C)
        if not is_recomputing():
            self._update(*statistics)
        return output_NHWC

    def _update(self, *statistics: Any) -> None:
        """Takes means and variances (S, C) into the moving averages."""
        moving = (self.moving_mean, self.moving_variance)
        for average, sides_SC in zip(moving, statistics, strict=True):
            average_C = average.value
            for side_C in tf.unstack(sides_SC):
                average_C = average_C * self.momentum + side_C * (1.0 - self.momentum)
            average.assign(average_C)


def _on_one_replica(num_sides: int, *, epsilon: float) -> _Normalization:
    """The maps with each side normalised, and means and variances (S, C)."""

    # TensorFlow's kernel reads the maps as seldom as possible.
    def normalized(maps_NHWC: Any, gamma_C: Any, beta_C: Any) -> tuple[Any, Any, Any]:
        outputs, means, variances = [], [], []
        for maps_BHWC in tf.split(maps_NHWC, num_sides):
            output_BHWC, mean_C, unbiased_C, *_ = tf.raw_ops.FusedBatchNormV3(
                x=maps_BHWC, scale=gamma_C, offset=beta_C, mean=[], variance=[], epsilon=epsilon
            )
            # The kernel divides by n - 1 for the moving average, Keras by n.
            n = tf.cast(tf.reduce_prod(tf.shape(maps_BHWC)[:-1]), tf.float32)
            outputs.append(output_BHWC)
            means.append(mean_C)
            variances.append(unbiased_C * ((n - 1.0) / n))
        return tf.concat(outputs, axis=0), tf.stack(means), tf.stack(variances)

    return normalized


def _on_all(
    replicas: tf.distribute.ReplicaContext, *, num_sides: int, epsilon: float
) -> _Normalization:
    """As `_on_one_replica`, with one all-reduce forwards and one backwards."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(maps_NHWC: Any, gamma_C: Any, beta_C: Any) -> tuple[Any, Any]:
        shape, dtype = tf.shape(maps_NHWC), maps_NHWC.dtype
        shape_SBHWC = tf.concat([[num_sides, shape[0] // num_sides], shape[1:]], axis=0)
        mean_SC, variance_SC = _moments(_as_float32(maps_NHWC, shape_SBHWC), replicas)
        factor_SC = tf.math.rsqrt(variance_SC + epsilon)

        def standardized() -> Any:
            maps_SBHWC = _as_float32(maps_NHWC, shape_SBHWC)
            return (maps_SBHWC - _spread(mean_SC)) * _spread(factor_SC)

        def gradient(slope_NHWC: Any, *_: Any) -> tuple[Any, Any, Any]:
            slope_SBHWC = _as_float32(slope_NHWC, shape_SBHWC)
            unit_SBHWC = standardized()
            of_beta_SC = tf.reduce_sum(slope_SBHWC, _BHW)
            of_gamma_SC = tf.reduce_sum(slope_SBHWC * unit_SBHWC, _BHW)
            values = tf.reduce_prod(shape_SBHWC[1:4]) * replicas.num_replicas_in_sync
            total = replicas.all_reduce(
                tf.distribute.ReduceOp.SUM, tf.stack([of_beta_SC, of_gamma_SC])
            )
            shift_SC, tilt_SC = tf.unstack(total / tf.cast(values, tf.float32))
            rest_SBHWC = slope_SBHWC - _spread(shift_SC) - unit_SBHWC * _spread(tilt_SC)
            of_maps_SBHWC = rest_SBHWC * _spread(factor_SC * gamma_C)
            return (
                tf.cast(tf.reshape(of_maps_SBHWC, shape), dtype),
                tf.reduce_sum(of_gamma_SC, 0),
                tf.reduce_sum(of_beta_SC, 0),
            )

        output_SBHWC = standardized() * gamma_C + beta_C
        output_NHWC = tf.cast(tf.reshape(output_SBHWC, shape), dtype)
        return (output_NHWC, mean_SC, variance_SC), gradient

    found: _Normalization = normalized
    return found


def _moments(maps_SBHWC: Any, replicas: tf.distribute.ReplicaContext) -> tuple[Any, Any]:
    """Mean and variance (S, C) over all replicas, which have the same number of values each.

    Each replica subtracts its mean before it squares; what the means of the replicas differ by
    is added to the variance. The mean of the squares less the square of the mean, which needs
    one pass, loses all digits where the mean is large.

    Source: Chan, Golub, LeVeque 1979, Updating formulae and a pairwise algorithm for computing
    sample variances, eq. 2.1.
    """
    count = replicas.num_replicas_in_sync
    own = tf.stack(tf.nn.moments(maps_SBHWC, _BHW))
    # A sum with zeros elsewhere is a gather that needs no second collective for the shapes.
    place_R = tf.one_hot(replicas.replica_id_in_sync_group, count)
    placed = tf.reshape(place_R, (count, 1, 1, 1)) * own
    mean_RSC, variance_RSC = tf.unstack(
        replicas.all_reduce(tf.distribute.ReduceOp.SUM, placed), axis=1
    )
    mean_SC = tf.reduce_mean(mean_RSC, 0)
    between_RSC = tf.math.squared_difference(mean_RSC, mean_SC)
    return mean_SC, tf.reduce_mean(variance_RSC + between_RSC, 0)


def _as_float32(maps_NHWC: Any, shape_SBHWC: Any) -> Any:
    return tf.cast(tf.reshape(maps_NHWC, shape_SBHWC), tf.float32)


def _spread(values_SC: Any) -> Any:
    """One value per side and channel, for all places of its maps."""
    return values_SC[:, None, None, None, :]
