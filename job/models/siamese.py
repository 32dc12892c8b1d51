"""The Siamese model: one encoder for both items, one head. B pairs, T steps, D embedding size.

Keras callbacks and the export see `scorer`; training and evaluation use its two parts. Both
towers of `scorer` are the same `encoder` object::

    siamese = build_siamese(model_section, training_section, item=feed.input, seed=7)
    score_B1 = siamese.scorer([left_BT, right_BT])
"""

import itertools
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from job.config.model import LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.models.encoders.build_encoder import build_encoder
from job.models.encoders.lstm import PreparedEncoders, PreparedSteps, prepared_encoders
from job.models.heads import build_head
from job.models.losses.build_loss import BatchLoss, build_loss
from job.models.optimizers import build_optimizer
from job.models.sides import LEFT, RIGHT, encoding
from job.models.weight_averages import WeightAverages
from job.types import ItemInput

# The keys in `Siamese.variables` of the moving averages of weights.
AVERAGE = "model|average/"
_SEED_GENERATOR = re.compile(r"^seed_generator(_\d+)?/")


@dataclass(frozen=True)
class Siamese:
    """A Siamese model with its loss and optimizer.

    Attributes:
        item: Input of the encoder.
        encoder: From N items, such as int32 (N, T) token IDs, to float32 (N, D) embeddings.
        head: From two float32 (B, D) embeddings to a float32 (B, 1) logit.
        scorer: From two times B items to a float32 (B, 1) score in [0, 1]. It is compiled with
            the optimizer, because Keras callbacks expect it there.
        loss: From a batch of pairs to float32 (B,) losses.
        optimizer: Built for every trainable variable of `scorer`.
        prepared: Of sequences: the same encoder for `PreparedSteps`.
        averages: Moving averages of the weights; None if there are none.
    """

    item: ItemInput
    encoder: keras.Model
    head: keras.Model
    scorer: keras.Model
    loss: BatchLoss
    optimizer: keras.optimizers.Optimizer
    prepared: PreparedEncoders | None = None
    averages: WeightAverages | None = None

    def embed_both(self, both: Any, *, training: bool) -> tuple[Any, Any]:
        """Encodes both items of B pairs in one call, which halves the graph.

        Args:
            both: 2B items, the left ones first: as `item` describes, or `PreparedSteps`.
            training: Whether to apply dropout and to use batch statistics. The left and the
                right items then have separate statistics, as with two towers.

        Returns:
            Two float32 (B, D).
        """
        u_BD, v_BD = ops.split(self._encode(both, training=training), 2)
        return u_BD, v_BD

    def embed_sides(self, left: Any, right: Any, *, training: bool) -> tuple[Any, Any]:
        """Encodes the items of B pairs in two calls, so that the sides may be padded apart.

        The embeddings are those of `embed_both` up to rounding; dropout drops the same
        features and leaves the same random state.

        Args:
            left: B items, as `item` describes or `PreparedSteps`.
            right: B items, maybe of another T.
            training: See `embed_both`.

        Returns:
            Two float32 (B, D).
        """
        with encoding(LEFT):
            u_BD = self._encode(left, training=training)
        with encoding(RIGHT):
            v_BD = self._encode(right, training=training)
        return u_BD, v_BD

    def _encode(self, items: Any, *, training: bool) -> Any:
        if not isinstance(items, PreparedSteps):
            return self.encoder(items, training=training)
        if self.prepared is None:
            raise ValueError(f"an encoder of {self.item.kind} items takes no prepared steps")
        if items.is_step_NT is None:
            return self.prepared.whole(items.vectors_NTF, training=training)
        return self.prepared.padded(list(items), training=training)

    def variables(self) -> dict[str, Any]:
        """Every variable that training changes, by `model|path` and `optimizer|path`.

        These are weights, their averages, moving statistics, seed generators, optimizer slots,
        iteration, learning rate and loss scale: all that is needed to resume with identical
        bits.

        Raises:
            ValueError: Two variables have the same path.
        """
        named: dict[str, Any] = {}
        groups = {"model": self.scorer.variables, "optimizer": self.optimizer.variables}
        for group, variables in groups.items():
            for path, variable in zip(_stable_paths(variables), variables, strict=True):
                key = f"{group}|{path}"
                if key in named:
                    raise ValueError(
                        f"two variables are called '{key}': give the layers different names"
                    )
                named[key] = variable
        averages = self.averages.named() if self.averages else {}
        return named | {f"{AVERAGE}{path}": average for path, average in averages.items()}

    def weights(self) -> dict[str, Any]:
        """The weights and moving statistics among `variables`, in the order of the layers."""
        keys = {id(variable): key for key, variable in self.variables().items()}
        return {keys[id(variable)]: variable for variable in self.scorer.weights}

    def as_evaluated(self) -> AbstractContextManager[None]:
        """Within the block, the weights are those that evaluation uses."""
        return self.averages.in_use() if self.averages else nullcontext()

    def describe(self) -> str:
        """One line for the log: embedding size and number of weights of each part."""
        return (
            f"shared encoder {self.encoder.count_params():,} weights -> "
            f"{self.encoder.output_shape[-1]}-d embedding -> head "
            f"{self.head.count_params():,} weights"
        )


def _stable_paths(variables: Sequence[Any]) -> list[str]:
    """Paths of variables that do not depend on models built before in this process.

    Layers have fixed names. Keras calls the seed generators inside them `seed_generator_<n>`
    with a process-wide n, which is replaced by their position in the model.
    """
    numbers = itertools.count()
    return [
        _SEED_GENERATOR.sub(lambda _: f"seed_generator_{next(numbers)}/", variable.path)
        for variable in variables
    ]


def build_siamese(
    model: ModelConfig,
    *,
    training: TrainingConfig,
    item: ItemInput,
    seed: int,
    exported: bool = False,
) -> Siamese:
    """Builds the model; call it within the scope of the strategy that will train it.

    Args:
        model: Encoder, head and precision.
        training: Loss and optimizer.
        item: Input of the encoder.
        seed: The run's seed.
        exported: Whether to use layers of Keras only.
    """
    encoder = build_encoder(
        model.encoder, item=item, seed=seed, precision=model.precision, exported=exported
    )
    head = build_head(model.head, embedding_size=encoder.output_shape[-1], seed=seed)
    left = keras.Input(item.shape, dtype=item.dtype, name="left")
    right = keras.Input(item.shape, dtype=item.dtype, name="right")
    logit_B1 = head([encoder(left), encoder(right)])
    score_B1 = keras.layers.Activation("sigmoid", name="score")(logit_B1)
    scorer = keras.Model([left, right], score_B1, name="scorer")
    optimizer = build_optimizer(training.optimizer, precision=model.precision)
    optimizer.build(scorer.trainable_variables)
    scorer.compile(optimizer=optimizer)
    loss = build_loss(training.loss, head=model.head.kind)
    prepared = None
    if item.kind == "sequence" and isinstance(model.encoder, LstmConfig):
        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        prepared = prepared_encoders(encoder, section=model.encoder, has_gpu=has_gpu)
    averages = None
    if training.ema_momentum is not None:
        averages = WeightAverages.of(scorer.trainable_variables, momentum=training.ema_momentum)
    return Siamese(item, encoder, head, scorer, loss, optimizer, prepared, averages)
