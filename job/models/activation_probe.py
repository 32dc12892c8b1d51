"""Activations of every layer for one pair. T time steps, D embedding size.

As in the book's activation logger, a second model over the same layers returns every output
instead of the last one. It only reads weights and is not part of the training graph::

    probe = ActivationProbe(siamese)
    activations = probe(left_1T, right_1T)  # {"encoder/lstm/left": ..., "head/logit": ...}
    statistics_of(activations, "encoder/lstm").zero_ratio

Source: Chollet, Deep Learning with Python, 1st edition, section 7.2.1.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from job.models.siamese import Siamese

Activations = Mapping[str, npt.NDArray[np.float32]]

SIDES = ("left", "right")
SCORE = "score"
_NUMBER = re.compile(r"_\d+$")


class ActivationProbe:
    """Runs a pair through a model and returns the output of every layer.

    Args:
        siamese: The model; its current weights are used at each call.

    Attributes:
        layers: Names in the order of computation: `encoder/<layer>` and `head/<layer>` for
            every layer, inputs included, and every operation on what layers compute, and
            `score`. A layer of a nested model is `<model>.<layer>`; one of several outputs of a
            layer is `<layer>.<number>`.
    """

    def __init__(self, siamese: Siamese) -> None:
        outputs = _outputs(siamese.encoder, kept=_after_layers)
        encoder = {f"encoder/{name}": x for name, x in outputs.items()}
        head = {f"head/{name}": x for name, x in _outputs(siamese.head).items()}
        self.layers = (*encoder, *head, SCORE)
        self._names = (
            *(f"{layer}/{side}" for side in SIDES for layer in encoder),
            *(*head, SCORE),
        )
        self._encoder = keras.Model(
            siamese.encoder.inputs,
            [siamese.encoder.outputs[0], *encoder.values()],
            name="encoder_probe",
        )
        self._head = keras.Model(
            siamese.head.inputs, [siamese.head.outputs[0], *head.values()], name="head_probe"
        )
        item = tf.TensorSpec((1, *siamese.item.shape), siamese.item.dtype)
        # In eager mode, an LSTM would return to Python at each time step.
        self._run = tf.function(self._run_pair, input_signature=[item, item], autograph=False)

    def __call__(
        self, left_1: npt.NDArray[np.generic], right_1: npt.NDArray[np.generic]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Computes the activations of a pair in inference mode, without dropout.

        Args:
            left_1: (1, ...), one item for the encoder; the sides may differ in T.
            right_1: (1, ...), the other item.

        Returns:
            float32 arrays, whatever the dtype of the layer; the first axis has size 1. Keys are
            `<layer>/left` and `<layer>/right` for the encoder and `<layer>` for the head, with
            the names of `layers`.
        """
        values = self._run(tf.constant(left_1), tf.constant(right_1))
        # `numpy()` would copy: hundreds of megabytes for a large model.
        return {name: np.asarray(x) for name, x in zip(self._names, values, strict=True)}

    def _run_pair(self, left_1: tf.Tensor, right_1: tf.Tensor) -> list[tf.Tensor]:
        left_1D, *left = self._encoder([left_1], training=False)
        right_1D, *right = self._encoder([right_1], training=False)
        logit_11, *head = self._head([left_1D, right_1D], training=False)
        values = [*left, *right, *head, tf.sigmoid(logit_11)]
        return [tf.cast(value, tf.float32) for value in values]


@dataclass(frozen=True)
class ActivationStatistics:
    """Statistics of a layer, over all its values for both items.

    Attributes:
        mean: Mean.
        std: Standard deviation, >= 0.
        zero_ratio: Share of values that are exactly 0, in [0, 1].
        norm: Square root of the sum of squares, >= 0.
    """

    mean: float
    std: float
    zero_ratio: float
    norm: float


def statistics_of(activations: Activations, layer: str) -> ActivationStatistics:
    """Statistics of one layer. All but `zero_ratio` are NaN if a value is.

    Args:
        activations: From `ActivationProbe`.
        layer: One of its `layers`.
    """
    names = [layer] if layer in activations else [f"{layer}/{side}" for side in SIDES]
    values = np.concatenate([activations[name].ravel() for name in names]).astype(np.float64)
    # A diverged model has infinite values, whose mean and deviation are NaN.
    with np.errstate(invalid="ignore"):
        return ActivationStatistics(
            mean=float(np.mean(values)),
            std=float(np.std(values)),
            zero_ratio=float(np.mean(values == 0.0)),
            norm=float(np.linalg.norm(values)),
        )


def _outputs(
    model: keras.Model, *, kept: Callable[[Sequence[Any]], Sequence[Any]] = list
) -> dict[str, Any]:
    """The symbolic outputs of a model's layers and operations, by name, as they are computed.

    An operation that is called several times is represented by its first call.

    Args:
        model: The model.
        kept: Chooses from its operations.
    """
    # Not all models list their operations; a function from inputs to outputs does.
    operations = keras.Function(model.inputs, model.outputs).operations
    operations = kept(operations)
    found: dict[str, Any] = {}
    for name, operation in zip(_names(operations), operations, strict=True):
        # `operation.output` of a model belongs to its construction, not to this call.
        call = operation._inbound_nodes[0]
        outputs = call.output_tensors
        numbered = (f"{name}.{number}" for number in range(len(outputs)))
        found |= zip([name] if len(outputs) == 1 else numbered, outputs, strict=True)
        if isinstance(operation, (keras.Function, keras.Sequential)):
            inner = _outputs(operation)
            again = keras.Model(
                operation.inputs, list(inner.values()), name=f"{operation.name}_probe"
            )
            copies = again(list(call.input_tensors))
            found |= zip((f"{name}.{one}" for one in inner), copies, strict=True)
    return found


def _after_layers(operations: Sequence[Any]) -> list[Any]:
    """The layers, and the operations on what they compute.

    Operations on an item alone, such as those that find its length, are no activations.
    """
    kept: list[Any] = []
    computed: set[int] = set()
    for operation in operations:
        call = operation._inbound_nodes[0]
        is_layer = isinstance(operation, keras.Layer)
        if is_layer or not computed.isdisjoint(map(id, call.input_tensors)):
            kept.append(operation)
            if not isinstance(operation, keras.layers.InputLayer):
                computed.update(map(id, call.output_tensors))
    return kept


def _names(operations: Sequence[Any]) -> Iterator[str]:
    """A name for each operation that does not depend on models built before.

    Layers keep their names. Keras calls the operations between them `<kind>_<n>` with a
    process-wide n, which is replaced by their position in the model.
    """
    taken = {one.name for one in operations if isinstance(one, keras.Layer)}
    for one in operations:
        if isinstance(one, keras.Layer):
            yield one.name
            continue
        kind = _NUMBER.sub("", one.name)
        numbered = (f"{kind}_{number}" for number in itertools.count(1))
        name = next(name for name in itertools.chain([kind], numbered) if name not in taken)
        taken.add(name)
        yield name
