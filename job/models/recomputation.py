"""Gradient checkpointing: activations are computed twice instead of kept.

A model runs in parts. Only the input of a part is kept for the gradient, which computes the
rest anew, with the same bits::

    encoder = RecomputedModel(images, embeddings, name="encoder")
    encoder.split_after(["block2_add", "block3_add"])

Source: Chen et al. 2016, Training deep nets with sublinear memory cost; `tf.recompute_grad`.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf

_recomputing: ContextVar[bool] = ContextVar("recomputing", default=False)


def is_recomputing() -> bool:
    """Whether the layer called now has been called for this batch before.

    A layer that changes its variables does so in the first call only.
    """
    return _recomputing.get()


@keras.saving.register_keras_serializable("siamese_job")
class RecomputedModel(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A functional model with one input and one output that trains in parts.

    No layer of it may draw random numbers: a second call would draw others.
    """

    def split_after(self, names: Sequence[str]) -> None:
        """Ends a part after each of these layers.

        Args:
            names: In the order of computation. All that follows such a layer depends on its
                output, and on nothing before it.
        """
        ends = [*(self.get_layer(name).output for name in names), self.outputs[0]]
        starts = [self.inputs[0], *ends]
        self._parts = [_recomputed(*span) for span in zip(starts, ends, strict=False)]

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """From the input to the output of the functional model."""
        if not training:
            return super().call(inputs, training=training, mask=mask)
        for part in self._parts:
            inputs = part(inputs)
        return inputs


class _Part(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """The layers between two tensors of a model; it tells them that they are in training."""

    def __init__(self, start: Any, end: Any) -> None:
        super().__init__(dtype=start.dtype, name="part")
        # It does not own its layers, unlike a model.
        self._function = keras.Function(start, end)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._function(inputs)


def _recomputed(start: Any, end: Any) -> Callable[[Any], Any]:
    part = _Part(start, end)

    def computed(inputs: Any) -> Any:
        calls = itertools.count()

        def compute(inputs: Any) -> Any:
            with _call(next(calls)):
                return part(inputs, training=True)

        return tf.recompute_grad(compute)(inputs)

    return computed


@contextmanager
def _call(number: int) -> Iterator[None]:
    token = _recomputing.set(number > 0)
    try:
        yield
    finally:
        _recomputing.reset(token)
