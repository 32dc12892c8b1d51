"""The recurrent encoder with masks: the plain reference of `job.models.encoders.lstm`.

It calls the layers of a built encoder, so both have the same variables, but it passes masks and
lets Keras read backwards. N items, T time steps, F features, U units.
"""

import keras
import numpy as np
from keras import ops


def masked(encoder: keras.Model, *, section, item) -> keras.Model:
    """The encoder of `section` and `item`, over the variables of `encoder`."""
    items = keras.Input(item.shape, dtype=item.dtype)
    if item.kind == "text":
        is_step_NT = ops.not_equal(items, 0)
        vectors = encoder.get_layer("embedding")(items)
    else:
        is_step_NT = ops.logical_not(ops.all(ops.isnan(items), axis=-1))
        mean_F, std_F = np.array(item.mean, np.float32), np.array(item.std, np.float32)
        filled_NTF = ops.where(ops.expand_dims(is_step_NT, -1), items, mean_F)
        vectors = (filled_NTF - mean_F) / std_F
    for number in range(1, section.layers + 1):
        suffix = f"_{number}" if number > 1 else ""
        if section.dropout:
            vectors = encoder.get_layer(f"dropout{suffix}")(vectors)
        # Masked steps repeat the state before them, so that a last state is at the very end.
        layer = encoder.get_layer(f"forward{suffix}")
        states, last = [layer(vectors, mask=is_step_NT)], [-1]
        if section.bidirectional:
            layer = encoder.get_layer(f"backward{suffix}")
            back = keras.layers.RNN(
                layer.cell, return_sequences=True, go_backwards=True, dtype=layer.dtype_policy
            )(vectors, mask=is_step_NT)
            states, last = [*states, ops.flip(back, axis=1)], [-1, 0]
        if number < section.layers:
            vectors = ops.concatenate(states, axis=-1)
    states = [ops.cast(states_NTU, "float32") for states_NTU in states]
    if section.pooling == "last":
        pooled = [states_NTU[:, at] for states_NTU, at in zip(states, last, strict=True)]
    else:
        pooling = {"mean": _mean, "max": _max}[section.pooling]
        pooled = [pooling(states_NTU, ops.expand_dims(is_step_NT, -1)) for states_NTU in states]
    return keras.Model(items, ops.concatenate(pooled, axis=-1), name="masked")


def _mean(states_NTU, is_step_NT1):
    total_NU = ops.sum(ops.where(is_step_NT1, states_NTU, 0.0), axis=1)
    count_N1 = ops.sum(ops.cast(is_step_NT1, "float32"), axis=1)
    return total_NU / ops.maximum(count_N1, 1.0)


def _max(states_NTU, is_step_NT1):
    largest_NU = ops.max(ops.where(is_step_NT1, states_NTU, -1.0), axis=1)
    return ops.where(ops.any(is_step_NT1, axis=1), largest_NU, 0.0)
