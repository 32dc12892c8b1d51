"""Encoders: from items to their embeddings. N items, D embedding size.

An encoder is one functional `keras.Model`; both items of a pair go through that same object. It
is made of Keras' own layers and operations only, with its normalisation inside: whoever opens
an exported `.keras` file needs neither this program nor anything done to the items before::

    encoder = build_encoder(section, item=feed.input, seed=7)
    embedding_ND = encoder(items)

Every layer has a name of its own, which is part of the keys of checkpoints, and everything
random a seed that follows from the run's and that name. Which kind of item an encoder takes
stands in `config.compatibility`.
"""

from collections.abc import Callable

import keras

from job.config.model import Encoder, Precision
from job.models.encoders.cnn import build_cnn
from job.models.encoders.lstm import build_lstm
from job.models.encoders.xception import build_xception
from job.types import ItemInput

ENCODERS: dict[str, Callable[..., keras.Model]] = {
    "lstm": build_lstm,
    "cnn": build_cnn,
    "xception": build_xception,
}


def build_encoder(
    section: Encoder, *, item: ItemInput, seed: int, precision: Precision = "float32"
) -> keras.Model:
    """The encoder that the configuration names; see the builder of each kind.

    Args:
        section: Names the kind and its options.
        item: What the encoder takes; of a kind that it can.
        seed: The run's seed; initial weights and what is dropped depend on it alone.
        precision: What its layers compute in. Weights are float32 always, and so is what sums
            over many values: normalisation, statistics and pooling.

    Returns:
        A model from items, (N, ...) as `item` says, to float32 (N, D) embeddings.
    """
    return ENCODERS[section.kind](section, item=item, seed=seed, precision=precision)
