"""The recurrent encoder. N items, T time steps, F features, U units, D size of an embedding.

Padding only follows the steps of an item, so no LSTM needs a mask: a state depends on earlier
steps alone, and the states at padding are not read. The second direction takes each item
reversed within its length. An embedding therefore does not depend on the padding of its batch.
Padding of texts is ID 0, of sequences a step whose features are all NaN (`types.ItemInput`).

A mask would cost operations in every time step, and cuDNN would wait for the host to check it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from job.config.model import LstmConfig, Precision
from job.models.dropout import PairDropout
from job.models.seeds import derive_seed
from job.types import ItemInput

# Each unrolled step takes 25 ms to trace.
_MOST_UNROLLED_STEPS = 64


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
        A model from int32 (N, T) token IDs, or float32 (N, T, F) steps, to float32 (N, D). What
        follows the last step that is not padding is padding; nothing else is.

    Source: Chollet, Deep Learning with Python, 1st edition, section 7.1.5.
    """
    items, vectors, is_value_NT = _INPUTS[item.kind](section, item=item, seed=seed)

    def layer(name: str) -> keras.layers.Layer:
        kind = name.partition("_")[0]
        if kind == "dropout":
            dropout_seed = derive_seed(seed, name=f"encoder/{name}")
            return PairDropout(section.dropout, seed=dropout_seed, dtype=precision, name=name)
        if kind == "lstm":
            is_last = name == _named("lstm", section.layers)
            dtype = "float32" if is_last else precision
            return keras.layers.Concatenate(dtype=dtype, name=name)
        return _lstm(name, units=section.units, seed=seed, precision=precision)

    embedding = _embedding(vectors, _steps_of(is_value_NT), section=section, layer=layer)
    return keras.Model(items, embedding, name="encoder")


def _embedding(
    vectors: Any,
    steps: "_Steps | None",
    *,
    section: LstmConfig,
    layer: Callable[[str], keras.layers.Layer],
) -> Any:
    """From vectors (N, T, F) to float32 (N, D).

    Args:
        vectors: The input of the first layer.
        steps: The steps of each item; None if no place is padding.
        section: Sizes and options.
        layer: Gives the layer of a name.
    """
    for number in range(1, section.layers + 1):
        if section.dropout:
            vectors = layer(_named("dropout", number))(vectors)
        states = [layer(_named("forward", number))(vectors)]
        if section.bidirectional:
            backward = layer(_named("backward", number))
            states.append(backward(_reversed(vectors, steps)))
        if number == section.layers:
            states = [_pooled(states_NTU, steps, by=section.pooling) for states_NTU in states]
        elif section.bidirectional:
            states[1] = _reversed(states[1], steps)
        joined = section.bidirectional
        vectors = layer(_named("lstm", number))(states) if joined else states[0]
    return vectors


def _named(kind: str, number: int) -> str:
    """Name of a layer; the first of a kind has no number."""
    return f"{kind}_{number}" if number > 1 else kind


def _tokens(section: LstmConfig, *, item: ItemInput, seed: int) -> tuple[Any, Any, Any]:
    """Input, vectors, and what is no padding, of texts."""
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


def _measurements(section: LstmConfig, *, item: ItemInput, seed: int) -> tuple[Any, Any, Any]:
    """Input, standardised vectors, and what is no padding, of sequences."""
    steps_NTF = keras.Input(item.shape, dtype=item.dtype, name="steps")
    # A partly NaN step is not padding: its embedding becomes NaN, which does not go unnoticed.
    is_value_NT = ops.logical_not(ops.all(ops.isnan(steps_NTF), axis=-1))
    mean_F = np.array(item.mean, np.float32)
    # Padding becomes the mean, which is 0 once standardised: NaN would become 0 * NaN in
    # gradients, and 0 may be too many standard deviations away for float16.
    filled_NTF = ops.where(ops.expand_dims(is_value_NT, -1), steps_NTF, mean_F)
    vectors_NTF = standardised(filled_NTF, item=item)
    # The names by which `prepared_encoder` finds both.
    vectors_NTF = keras.layers.Identity(dtype="float32", name="standardised")(vectors_NTF)
    is_value_NT = keras.layers.Identity(dtype="bool", name="is_step")(is_value_NT)
    return steps_NTF, vectors_NTF, is_value_NT


def standardised(steps_F: Any, *, item: ItemInput) -> Any:
    """Steps with mean 0 and standard deviation 1 over the training items, float32 (..., F)."""
    # The layer `Normalization` replaces a standard deviation below 1e-7 with 1e-7, which leaves
    # a feature measured in amperes or metres near 0.
    return (steps_F - np.array(item.mean, np.float32)) / np.array(item.std, np.float32)


class PreparedSteps(NamedTuple):
    """Sequences as the encoder's layers see them, prepared once and not in every batch.

    Attributes:
        vectors_NTF: float32 (N, T, F), `standardised`; any finite numbers at padding.
        is_step_NT: bool (N, T), False at padding; None if there is none.
    """

    vectors_NTF: Any
    is_step_NT: Any


@dataclass(frozen=True)
class PreparedEncoders:
    """The encoder of sequences behind its normalisation, with the same layers.

    Attributes:
        padded: From the two fields of `PreparedSteps` to float32 (N, D).
        whole: From `PreparedSteps.vectors_NTF`, where no place is padding, to float32 (N, D).
    """

    padded: keras.Model
    whole: keras.layers.Layer


def prepared_encoders(
    encoder: keras.Model, *, section: LstmConfig, has_gpu: bool
) -> PreparedEncoders:
    """Finds both in an encoder of sequences.

    Args:
        encoder: From `build_lstm`.
        section: Its options.
        has_gpu: Whether TensorFlow uses a GPU.
    """
    inputs = [encoder.get_layer(name).output for name in ("standardised", "is_step")]
    only_last = _named("forward", section.layers)
    if section.bidirectional or section.pooling != "last" or has_gpu:
        only_last = ""

    def layer(name: str) -> Any:
        found = encoder.get_layer(name)
        # cuDNN needs the layer itself.
        return partial(_last_state, found.cell) if name == only_last else found

    def embedding(vectors_NTF: Any) -> Any:
        return _embedding(vectors_NTF, None, section=section, layer=layer)

    return PreparedEncoders(
        keras.Model(inputs, encoder.output, name="prepared_encoder"),
        _WholeEncoder(embedding, name="whole_encoder"),
    )


class _WholeEncoder(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Applies layers of another model, in training or not as it is called itself."""

    def __init__(self, embedding: Callable[[Any], Any], *, name: str) -> None:
        super().__init__(name=name)
        self._embedding = embedding

    def call(self, vectors_NTF: Any, training: bool | None = None) -> Any:
        return self._embedding(vectors_NTF)


def _last_state(cell: keras.layers.Layer, vectors_NTF: Any) -> Any:
    """The last state alone, (N, 1, U), without a copy of all states."""
    steps = vectors_NTF.shape[1]
    # A loop in the graph starts and ends each of its operations anew in every time step.
    is_unrolled = steps is not None and steps <= _MOST_UNROLLED_STEPS
    return ops.expand_dims(keras.layers.RNN(cell, unroll=is_unrolled)(vectors_NTF), 1)


_INPUTS: dict[str, Callable[..., tuple[Any, Any, Any]]] = {
    "text": _tokens,
    "sequence": _measurements,
}


@dataclass(frozen=True)
class _Steps:
    """The steps of each item; a row is one of all N * T places of a batch.

    Attributes:
        is_step_NT1: bool (N, T, 1), whether a place is a step and no padding.
        length_N1: float32 (N, 1), steps of each item, which may be 0.
        last_row_N: int64 (N,), where the last step is; the first place of an empty item.
        reversed_row_NT: int64 (N, T), where the steps are in reverse order; padding stays.
    """

    is_step_NT1: Any
    length_N1: Any
    last_row_N: Any
    reversed_row_NT: Any


def _steps_of(is_value_NT: Any) -> _Steps:
    """Finds the steps of each item. Operations run on a GPU as well: int32 ones would not."""
    # T and N are unknown here, so that sums of ones count places and items.
    place_NT = ops.cumsum(ops.ones_like(is_value_NT, dtype="float32"), axis=1)
    length_N1 = ops.max(ops.where(is_value_NT, place_NT, 0.0), axis=1, keepdims=True)
    is_step_NT = ops.less_equal(place_NT, length_N1)
    item_N = ops.cumsum(ops.ones_like(place_NT[:, -1]), axis=0) - 1.0
    # A float32 counts to 2 ** 24, which is enough for N and T, but not for N * T.
    start_N = ops.cast(item_N, "int64") * ops.cast(place_NT[:, -1], "int64")
    last_N = ops.maximum(length_N1[:, 0], 1.0) - 1.0
    reversed_NT = ops.where(is_step_NT, length_N1 - place_NT, place_NT - 1.0)
    return _Steps(
        is_step_NT1=ops.expand_dims(is_step_NT, -1),
        length_N1=length_N1,
        last_row_N=start_N + ops.cast(last_N, "int64"),
        reversed_row_NT=ops.expand_dims(start_N, -1) + ops.cast(reversed_NT, "int64"),
    )


def _rows(vectors_NTF: Any, row: Any) -> Any:
    """The vectors at some rows."""
    flat = ops.reshape(vectors_NTF, (-1, vectors_NTF.shape[-1]))
    return ops.take(flat, row, axis=0)


def _reversed(vectors_NTF: Any, steps: _Steps | None) -> Any:
    """The steps of each item in reverse order, with the padding still behind them."""
    if steps is None:
        return ops.flip(vectors_NTF, axis=1)
    return _rows(vectors_NTF, steps.reversed_row_NT)


def _lstm(name: str, *, units: int, seed: int, precision: Precision) -> keras.layers.LSTM:
    """An LSTM that gives every state."""

    def seeded(use: str) -> int:
        return derive_seed(seed, name=f"encoder/{name}/{use}")

    return keras.layers.LSTM(
        units,
        return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seeded("kernel")),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seeded("recurrent")),
        # It draws nothing, but without a seed its seed state would start at random.
        seed=seeded("unused"),
        dtype=precision,
        name=name,
    )


def _float32(states: Any) -> Any:
    return states if states.dtype == "float32" else ops.cast(states, "float32")


def _last(states_NTU: Any, steps: _Steps) -> Any:
    """State after the last step of each item; 0 for an item without steps."""
    last_NU = _float32(_rows(states_NTU, steps.last_row_N))
    return ops.where(ops.greater(steps.length_N1, 0.0), last_NU, 0.0)


def _mean(states_NTU: Any, steps: _Steps) -> Any:
    """Mean of the states over the steps of each item; 0 for an item without steps."""
    states_NTU = _float32(states_NTU)
    total_NU = ops.sum(ops.where(steps.is_step_NT1, states_NTU, 0.0), axis=1)
    return total_NU / ops.maximum(steps.length_N1, 1.0)


def _max(states_NTU: Any, steps: _Steps) -> Any:
    """Largest value of each state over the steps of each item; 0 for an item without steps."""
    states_NTU = _float32(states_NTU)
    # No state is below -1: it is a sigmoid times a tanh.
    largest_NU = ops.max(ops.where(steps.is_step_NT1, states_NTU, -1.0), axis=1)
    return ops.where(ops.greater(steps.length_N1, 0.0), largest_NU, 0.0)


_POOLINGS: dict[str, Callable[[Any, _Steps], Any]] = {
    "last": _last,
    "mean": _mean,
    "max": _max,
}
# The same, where no place is padding.
_WHOLE_POOLINGS: dict[str, Callable[[Any], Any]] = {
    "last": lambda states_NTU: states_NTU[:, -1],
    "mean": lambda states_NTU: ops.mean(states_NTU, axis=1),
    "max": lambda states_NTU: ops.max(states_NTU, axis=1),
}


def _pooled(states_NTU: Any, steps: _Steps | None, *, by: str) -> Any:
    """One float32 vector of each item, (N, U)."""
    if steps is None:
        return _WHOLE_POOLINGS[by](_float32(states_NTU))
    return _POOLINGS[by](states_NTU, steps)
