"""One optimizer step on one replica. b pairs of this replica, B of all, D embedding size.

Every replica computes its share of the gradient; one reduction adds up the shares of all
replicas, together with loss and accuracy; then every replica makes the same update. `step.py`
says which pairs a replica has::

    step = ReplicaStep(siamese, global_batch_size=256)
    loss, correct = step(embed, label_b, *numbers_b)  # under strategy.run

With micro batches of m pairs, only m pairs are encoded at a time and their activations kept. A
loss of one pair at a time then is a sum over micro batches, and so is its gradient. A loss that
compares the batch needs all embeddings at once: they are computed without keeping activations,
the loss gives the gradient of each embedding, and the pairs are encoded again, now with
activations, to carry it to the weights. Dropout drops the same features both times.

Source of the latter: GradCache, Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size
under Memory Limited Setup, section 3.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import tensorflow as tf

from job.config.distribution import Compression
from job.errors import ConfigError
from job.models.dropout import PairDropout
from job.models.losses.pair_batch import Gather, PairBatch, no_gather
from job.models.siamese import Siamese
from job.models.sides import micro_batch
from job.training.weight_update import PLAIN, UpdateRule, WeightUpdate


class Embed(Protocol):
    """Encodes pairs of this replica as training does, with dropout."""

    def __call__(self, first: Any, size: int) -> tuple[Any, Any]:
        """Encodes the pairs `first` to `first + size`.

        Args:
            first: int or int32 (), in [0, b).
            size: How many, so that its results have a static shape.

        Returns:
            Two float32 (size, D), for the left and the right items.
        """


@dataclass(frozen=True)
class _Share:
    """What one replica contributes to a step.

    Attributes:
        gradients: One float32 tensor for each trainable variable, of the scaled loss.
        loss: float32 (), the sum over the replica's pairs divided by B.
        correct: float32 (), the replica's pairs on the correct side of score 0.5.
    """

    gradients: list[Any]
    loss: Any
    correct: Any

    def summed(self, compression: Compression) -> "_Share":
        """The sum over all replicas, in one collective; the same on each replica.

        Compressed gradients take a collective of their own.
        """
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync == 1:
            return self
        add_up = partial(replica.all_reduce, tf.distribute.ReduceOp.SUM)
        scalars = [self.loss, self.correct]
        # TensorFlow packs the tensors of one call, which are of one type, into one vector.
        if compression == "none":
            *gradients, loss, correct = add_up([*self.gradients, *scalars])
        else:
            small = add_up([tf.cast(one, compression) for one in self.gradients])
            gradients = [tf.cast(one, tf.float32) for one in small]
            loss, correct = add_up(scalars)
        return _Share(gradients, loss, correct)


@dataclass(frozen=True, eq=False)
class ReplicaStep:
    """Takes optimizer steps; call it on every replica.

    Attributes:
        siamese: Model, loss and optimizer.
        global_batch_size: B.
        rule: How the weights are updated.
        micro_batch_size: m; None for all b pairs at once. A batch of at most m pairs is not
            divided.
        compression: How gradients travel between replicas.
    """

    siamese: Siamese
    global_batch_size: int
    rule: UpdateRule = PLAIN
    micro_batch_size: int | None = None
    compression: Compression = "none"

    def __call__(
        self, embed: Embed, label_b: tf.Tensor, *numbers_b: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes one step.

        Args:
            embed: Encodes the pairs of this replica.
            label_b: float32 (b,), 1.0 = match, 0.0 = no match.
            *numbers_b: int64 (b,) each: left and right item, left and right class, as in
                `PairBatch`.

        Returns:
            float32 () each, before the update and the same on each replica: the mean loss of
            the global batch, and how many of its pairs were on the correct side of score 0.5.
        """
        share = self._share(embed, label_b, *numbers_b).summed(self.compression)
        WeightUpdate(self.siamese, self.rule)(share.gradients)
        return share.loss, share.correct

    def _share(self, embed: Embed, *pairs_b: tf.Tensor) -> _Share:
        num_pairs = pairs_b[0].shape[0]
        count = num_micro_batches(num_pairs, size=self.micro_batch_size)
        if count == 1:
            return self._of_pairs(lambda: embed(0, num_pairs), *pairs_b)
        encode = _InParts(embed, num_pairs // count, count)
        share = self._cached if self.siamese.loss.is_in_batch else self._accumulated
        found = share(encode, *pairs_b)
        for layer in self.siamese.encoder.layers:
            if isinstance(layer, PairDropout):
                layer.next_step()
        return found

    def _of_pairs(self, encode: Callable[[], tuple[Any, Any]], *pairs_b: tf.Tensor) -> _Share:
        with tf.GradientTape() as tape:
            loss, scaled, correct = self._loss(*encode(), *pairs_b)
        variables = self.siamese.scorer.trainable_variables
        return _Share(_dense(tape.gradient(scaled, variables), variables), loss, correct)

    def _loss(
        self, u_bD: tf.Tensor, v_bD: tf.Tensor, label_b: tf.Tensor, *numbers_b: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Loss, scaled loss and correct pairs of this replica, as in `_Share`."""
        siamese = self.siamese
        logit_b = siamese.head([u_bD, v_bD], training=True)[:, 0]
        batch = PairBatch(label_b, logit_b, u_bD, v_bD, *numbers_b)
        # Dividing by the global batch makes the sum over replicas its mean.
        loss = tf.reduce_sum(siamese.loss.of(batch, gather=self._gather()))
        loss = loss / self.global_batch_size
        is_correct_b = (logit_b >= 0.0) == (label_b >= 0.5)
        correct = tf.reduce_sum(tf.cast(is_correct_b, tf.float32))
        return loss, siamese.optimizer.scale_loss(loss), correct

    def _accumulated(self, encode: "_InParts", *pairs_b: tf.Tensor) -> _Share:
        """The sum over micro batches, for a loss of one pair at a time."""

        def of_part(part: tf.Tensor) -> list[tf.Tensor]:
            rows = [encode.rows(one_b, part) for one_b in pairs_b]
            share = self._of_pairs(lambda: encode(part), *rows)
            return [*share.gradients, share.loss, share.correct]

        scalar = tf.zeros(())
        start = [*_zeros(self.siamese.scorer.trainable_variables), scalar, scalar]
        *gradients, loss, correct = encode.sum_over_parts(of_part, start)
        return _Share(gradients, loss, correct)

    def _cached(self, encode: "_InParts", *pairs_b: tf.Tensor) -> _Share:
        """GradCache, for a loss that compares all pairs."""
        siamese = self.siamese
        u_bD, v_bD = encode.all_parts(siamese.encoder.output_shape[-1])
        with tf.GradientTape() as tape:
            tape.watch([u_bD, v_bD])
            loss, scaled, correct = self._loss(u_bD, v_bD, *pairs_b)
        of_head = siamese.head.trainable_variables
        du_bD, dv_bD, *head = tape.gradient(scaled, [u_bD, v_bD, *of_head])
        of_encoder = siamese.encoder.trainable_variables

        def of_part(part: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                sides_mD = encode(part)
            outer_mD = [encode.rows(one_bD, part) for one_bD in (du_bD, dv_bD)]
            gradients = tape.gradient(sides_mD, of_encoder, output_gradients=outer_mD)
            return _dense(gradients, of_encoder)

        encoder = encode.sum_over_parts(of_part, _zeros(of_encoder))
        by_variable = dict(
            zip(
                map(id, [*of_encoder, *of_head]),
                [*encoder, *_dense(head, of_head)],
                strict=True,
            )
        )
        variables = siamese.scorer.trainable_variables
        return _Share([by_variable[id(one)] for one in variables], loss, correct)

    def _gather(self) -> Gather:
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync == 1:
            return no_gather

        def gather(rows: tf.Tensor) -> tf.Tensor:
            gathered = replica.all_gather(rows, axis=0)
            return tf.ensure_shape(gathered, [self.global_batch_size, *rows.shape[1:]])

        return gather


@dataclass(frozen=True)
class _InParts:
    """Encodes the pairs of this replica in micro batches, one after the other.

    Attributes:
        embed: Encodes pairs.
        size: m, the pairs of each micro batch.
        count: How many there are.
    """

    embed: Embed
    size: int
    count: int

    def __call__(self, part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings of both sides of a micro batch, (m, D) each."""
        with micro_batch(part, count=self.count):
            return self.embed(part * self.size, self.size)

    def rows(self, all_b: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
        """The rows (m, ...) of a micro batch among those (b, ...) of the replica."""
        shape = all_b.shape[1:]
        return tf.reshape(all_b, (self.count, self.size, *shape))[part]

    def all_parts(self, embedding_size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings of both sides of all pairs, (b, D) each, without their gradient."""
        shape = (self.size, embedding_size)
        start = [tf.TensorArray(tf.float32, self.count, element_shape=shape) for _ in range(2)]

        def write(part: tf.Tensor, sides: list[tf.TensorArray]) -> list[tf.TensorArray]:
            pairs = zip(sides, self(part), strict=True)
            return [array.write(part, embedding) for array, embedding in pairs]

        u, v = self._loop(write, start)
        all_b = (self.count * self.size, embedding_size)
        return tf.reshape(u.stack(), all_b), tf.reshape(v.stack(), all_b)

    def sum_over_parts(
        self, of_part: Callable[[tf.Tensor], list[tf.Tensor]], start: list[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Adds what `of_part` returns for each micro batch to `start`."""

        def add(part: tf.Tensor, total: list[tf.Tensor]) -> list[tf.Tensor]:
            return [a + b for a, b in zip(total, of_part(part), strict=True)]

        total: list[tf.Tensor] = self._loop(add, start)
        return total

    def _loop(self, body: Callable[[tf.Tensor, list[Any]], list[Any]], start: list[Any]) -> Any:
        # A loop of the graph: side by side, micro batches would need the memory of a batch.
        _, end = tf.while_loop(
            lambda part, _: part < self.count,
            lambda part, state: (part + 1, body(part, state)),
            (tf.constant(0), start),
            parallel_iterations=1,
        )
        return end


def num_micro_batches(num_pairs: int, *, size: int | None) -> int:
    """In how many micro batches a replica encodes its pairs.

    Args:
        num_pairs: b.
        size: Pairs of a micro batch; None for all.

    Raises:
        ConfigError: They do not divide the pairs.
    """
    if size is None or size >= num_pairs:
        return 1
    if num_pairs % size:
        raise ConfigError(
            f"training.per_replica_micro_batch_size: {size} does not divide the {num_pairs} "
            "pairs that each replica has of the global batch. Use a divisor of that number, or "
            "other distribution.devices."
        )
    return num_pairs // size


def _zeros(variables: Sequence[Any]) -> list[tf.Tensor]:
    return [tf.zeros(variable.shape, variable.dtype) for variable in variables]


def _dense(gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """Each gradient as a dense tensor of its variable's shape.

    A loss on the embeddings has no gradient for the head's weights: they do not change.

    The gradient of an embedding table consists of the rows that were looked up, with repeats.
    Keras 3.15's Adam squares such rows one by one, where the square of their sum is correct.
    Replicas would also gather a different number of rows in each step, but TensorFlow 2.21
    allows only one shape per collective operation within a call.
    """
    return [
        tf.zeros(variable.shape, variable.dtype)
        if gradient is None
        else _summed(gradient)
        if isinstance(gradient, tf.IndexedSlices)
        else gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def _summed(rows: tf.IndexedSlices) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(rows.values, rows.indices, rows.dense_shape[0])
