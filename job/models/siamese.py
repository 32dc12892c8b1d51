"""The Siamese model: one encoder for both items, one head for the pair. B pairs, T time steps.

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

from job.config.model import ModelConfig
from job.config.training import TrainingConfig
from job.models.encoders import build_encoder
from job.models.heads import build_head
from job.models.losses import BatchLoss, build_loss
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

    def variables(self) -> dict[str, Any]:
        """Every variable that training changes, by `model|path` and `optimizer|path`.

        Weights, seed generators, optimizer slots, iteration and learning rate are all here;
        nothing else is needed to go on bit for bit.

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
        model: Encoder and head.
        training: Loss and optimizer.
        item: What the encoder takes.
        seed: The run's seed.
    """
    encoder = build_encoder(model.encoder, item=item, seed=seed)
    head = build_head(model.head, embedding_size=encoder.output_shape[-1], seed=seed)
    left = keras.Input(item.shape, dtype=item.dtype, name="left")
    right = keras.Input(item.shape, dtype=item.dtype, name="right")
    logit_B1 = head([encoder(left), encoder(right)])
    score_B1 = keras.layers.Activation("sigmoid", name="score")(logit_B1)
    scorer = keras.Model([left, right], score_B1, name="scorer")
    optimizer = build_optimizer(training.optimizer)
    optimizer.build(scorer.trainable_variables)
    scorer.compile(optimizer=optimizer)
    loss = build_loss(training.loss, head=model.head.kind)
    return Siamese(item, encoder, head, scorer, loss, optimizer)
