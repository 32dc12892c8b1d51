"""The recurrent encoder. N items, T time steps, F features, D size of a state.

Padding is masked: it leaves the state unchanged, and pooling ignores it. An embedding therefore
does not depend on the padding of its batch. In texts padding is ID 0, in sequences a step whose
features are all NaN (see `types.ItemInput`).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from job.config.model import LstmConfig, Precision
from job.models.dropout import PairDropout
from job.models.seeds import derive_seed
from job.types import ItemInput


def build_lstm(
    section: LstmConfig, *, item: ItemInput, seed: int, precision: Precision
) -> keras.Model:
    """Stacked LSTMs, and one vector from the states of the last.

    The defaults are the book's encoder: `LSTM(32)` and its last state.

    Args:
        section: Sizes and options.
        item: Text or sequence.
        seed: The run's seed.
        precision: Precision of the LSTMs.

    Returns:
        A model from int32 (N, T) token IDs, or float32 (N, T, F) steps, to float32 (N, D).

    Source: Chollet, Deep Learning with Python, 1st edition, section 7.1.5.
    """
    items, vectors, is_step_NT = _INPUTS[item.kind](section, item=item, seed=seed)
    for number in range(1, section.layers + 1):
        if section.dropout:
            name = f"dropout{_suffix(number)}"
            dropout_seed = derive_seed(seed, name=f"encoder/{name}")
            dropout = PairDropout(
                section.dropout, seed=dropout_seed, dtype=precision, name=name
            )
            vectors = dropout(vectors)
        gives_last = number == section.layers and section.pooling == "last"
        layer = _layer(
            section, number=number, gives_last=gives_last, seed=seed, precision=precision
        )
        vectors = layer(vectors, mask=is_step_NT)
    if precision != "float32":
        vectors = ops.cast(vectors, "float32")
    if section.pooling != "last":
        vectors = _POOLINGS[section.pooling](vectors, ops.expand_dims(is_step_NT, -1))
    return keras.Model(items, vectors, name="encoder")


def _tokens(section: LstmConfig, *, item: ItemInput, seed: int) -> tuple[Any, Any, Any]:
    """Input, vectors and mask of texts."""
    ids_NT = keras.Input(item.shape, dtype=item.dtype, name="ids")
    # A lookup computes nothing, and sums of gradients in the table need all bits.
    vectors_NTF = keras.layers.Embedding(
        item.vocabulary_size,
        section.embedding_size,
        embeddings_initializer=keras.initializers.RandomUniform(
            seed=derive_seed(seed, name="encoder/embedding")
        ),
        dtype="float32",
        name="embedding",
    )(ids_NT)
    return ids_NT, vectors_NTF, ops.not_equal(ids_NT, 0)


def _steps(section: LstmConfig, *, item: ItemInput, seed: int) -> tuple[Any, Any, Any]:
    """Input, standardised vectors, and mask of sequences."""
    steps_NTF = keras.Input(item.shape, dtype=item.dtype, name="steps")
    # A partly NaN step is not padding: its embedding becomes NaN, which does not go unnoticed.
    is_step_NT = ops.logical_not(ops.all(ops.isnan(steps_NTF), axis=-1))
    mean_F, std_F = np.array(item.mean, np.float32), np.array(item.std, np.float32)
    # Padding becomes the mean, which is 0 once standardised: NaN would pass masks as 0 * NaN in
    # gradients, and 0 may be too many standard deviations away for float16.
    filled_NTF = ops.where(ops.expand_dims(is_step_NT, -1), steps_NTF, mean_F)
    # The layer `Normalization` replaces a standard deviation below 1e-7 with 1e-7, which leaves
    # a feature measured in amperes or metres near 0.
    vectors_NTF = (filled_NTF - mean_F) / std_F
    return steps_NTF, vectors_NTF, is_step_NT


_INPUTS: dict[str, Callable[..., tuple[Any, Any, Any]]] = {
    "text": _tokens,
    "sequence": _steps,
}


def _suffix(number: int) -> str:
    """Suffix of the layer names, empty for the first layer."""
    return f"_{number}" if number > 1 else ""


def _layer(
    section: LstmConfig, *, number: int, gives_last: bool, seed: int, precision: Precision
) -> keras.layers.Layer:
    """LSTM `number`, from 1, in one direction or both.

    Its output is the last state of each direction, (N, D), or every state, (N, T, D).
    """
    suffix = _suffix(number)

    def lstm(name: str) -> keras.layers.LSTM:
        def seeded(use: str) -> int:
            return derive_seed(seed, name=f"encoder/{name}{suffix}/{use}")

        return keras.layers.LSTM(
            section.units,
            return_sequences=not gives_last,
            go_backwards=name == "backward",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seeded("kernel")),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seeded("recurrent")),
            # It draws nothing, but without a seed its seed state would start at random.
            seed=seeded("unused"),
            dtype=precision,
            name=f"{name}{suffix}",
        )

    if not section.bidirectional:
        return lstm("forward")
    return keras.layers.Bidirectional(
        lstm("forward"), backward_layer=lstm("backward"), dtype=precision, name=f"lstm{suffix}"
    )


def _mean(states_NTD: Any, is_step_NT1: Any) -> Any:
    """Mean of the states over the steps of each item; 0 for an item without steps."""
    total_ND = ops.sum(ops.where(is_step_NT1, states_NTD, 0.0), axis=1)
    count_N1 = ops.sum(ops.cast(is_step_NT1, "float32"), axis=1)
    return total_ND / ops.maximum(count_N1, 1.0)


def _max(states_NTD: Any, is_step_NT1: Any) -> Any:
    """Largest value of each state over the steps of each item; 0 for an item without steps."""
    # No state is below -1: it is a sigmoid times a tanh.
    largest_ND = ops.max(ops.where(is_step_NT1, states_NTD, -1.0), axis=1)
    return ops.where(ops.any(is_step_NT1, axis=1), largest_ND, 0.0)


_POOLINGS: dict[str, Callable[[Any, Any], Any]] = {"mean": _mean, "max": _max}
