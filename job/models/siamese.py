"""The Siamese model: one encoder for both items, one head. B pairs, T steps, D embedding size.

`scorer` is what users and Keras callbacks see; training and evaluation use the two parts.
Both towers of `scorer` are the one `encoder` object::

    siamese = build_siamese(model_section, training_section, item=feed.input, seed=7)
    score_B1 = siamese.scorer([left_BT, right_BT])
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from job.config.model import ModelConfig
from job.config.training import TrainingConfig
from job.models.encoders.build_encoder import build_encoder
from job.models.heads import build_head
from job.models.losses.build_loss import BatchLoss, build_loss
from job.models.optimizers import build_optimizer
from job.types import ItemInput

_SEED_GENERATOR = re.compile(r"^seed_generator(_\d+)?/")


@dataclass(frozen=True)
class Siamese:
    """A Siamese model and what trains it.

    Attributes:
        item: What the encoder takes.
        encoder: N items, such as int32 (N, T) token ids -> float32 (N, D) embeddings.
        head: two float32 (B, D) embeddings -> float32 (B, 1) logit.
        scorer: two times B items -> float32 (B, 1) score in [0, 1]; compiled with the
            optimizer, so that Keras callbacks find it where they expect it.
        loss: A batch of pairs -> float32 (B,) losses.
        optimizer: Built for every trainable variable of `scorer`.
    """

    item: ItemInput
    encoder: keras.Model
    head: keras.Model
    scorer: keras.Model
    loss: BatchLoss
    optimizer: keras.optimizers.Optimizer

    @property
    def has_batch_statistics(self) -> bool:
        """Whether an embedding depends on its batch while training."""
        kind = keras.layers.BatchNormalization
        return any(isinstance(layer, kind) for layer in self.encoder.layers)

    def embed_sides(self, left: Any, right: Any, *, training: bool) -> tuple[Any, Any]:
        """Encodes both items of some pairs.

        Args:
            left: B items as `item` says.
            right: B items of the same shape.
            training: Whether to drop features and to use the statistics of the batch; those of
                the left and of the right items are then taken apart, as by two towers.

        Returns:
            Two float32 (B, D).
        """
        if training and self.has_batch_statistics:
            return self.encoder(left, training=True), self.encoder(right, training=True)
        # One call for both: half the graph, and the same embeddings.
        both = self.encoder(ops.concatenate([left, right], axis=0), training=training)
        u_BD, v_BD = ops.split(both, 2)
        return u_BD, v_BD

    def variables(self) -> dict[str, Any]:
        """Every variable that training changes, by `model|path` and `optimizer|path`.

        Weights, moving statistics, seed generators, optimizer slots, iteration, learning rate
        and loss scale are all here; nothing else is needed to go on bit for bit.

        Raises:
            ValueError: Two variables have the same path.
        """
        named: dict[str, Any] = {}
        groups = {"model": self.scorer.variables, "optimizer": self.optimizer.variables}
        for group, variables in groups.items():
            for path, variable in zip(_stable_paths(variables), variables, strict=True):
                key = f"{group}|{path}"
                if key in named:
                    raise ValueError(f"two variables are called '{key}': name the layers apart")
                named[key] = variable
        return named

    def describe(self) -> str:
        """One line for people: embedding size and number of weights of each part."""
        return (
            f"shared encoder {self.encoder.count_params():,} weights -> "
            f"{self.encoder.output_shape[-1]}-d embedding -> head "
            f"{self.head.count_params():,} weights"
        )


def _stable_paths(variables: Sequence[Any]) -> list[str]:
    """Paths of variables, without what Keras counted in this process before them.

    Layers have names of ours; the seed generators inside them are called `seed_generator_<n>`
    with a process-wide n, which is replaced by their place in the model.
    """
    numbers = itertools.count()
    return [
        _SEED_GENERATOR.sub(lambda _: f"seed_generator_{next(numbers)}/", variable.path)
        for variable in variables
    ]


def build_siamese(
    model: ModelConfig, *, training: TrainingConfig, item: ItemInput, seed: int
) -> Siamese:
    """Builds the model; call it under the scope of the strategy that will train it.

    Args:
        model: Encoder, head and precision.
        training: Loss and optimizer.
        item: What the encoder takes.
        seed: The run's seed.
    """
    encoder = build_encoder(model.encoder, item=item, seed=seed, precision=model.precision)
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
    return Siamese(item, encoder, head, scorer, loss, optimizer)
