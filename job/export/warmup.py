"""The requests that TensorFlow Serving sends to a model before it lets others do so.

The first request of a signature is slow, because TensorFlow prepares its graph then. The
file is a TFRecord of `PredictionLog` messages. Their Python classes are in a package that
follows the releases of TensorFlow late, so the few fields that are needed are encoded here; a
test decodes them with that package.

Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup, and the numbers of the fields
from tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

FILE = "assets.extra/tf_serving_warmup_requests"
# Enough for the graph to be prepared; each costs time when a server starts.
MOST_PAIRS = 8

_MODEL = "siamese"
_LENGTH_DELIMITED = 2


def write_warmup(folder: Path, requests: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Adds the file to a SavedModel.

    Args:
        folder: The SavedModel.
        requests: Arguments of each signature, by name.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, arguments in requests.items():
            writer.write(_prediction_log(signature, arguments))


def _prediction_log(signature: str, arguments: Mapping[str, NDArray[Any]]) -> bytes:
    """PredictionLog {6: PredictLog {1: PredictRequest {1: ModelSpec, 2: inputs}}}."""
    # The server does not read the name of the model.
    model_spec = _field(1, _MODEL.encode()) + _field(3, signature.encode())
    request = _field(1, model_spec)
    for name, array in arguments.items():
        tensor = tf.make_tensor_proto(array[:MOST_PAIRS]).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """A field whose value is a string or a message."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says whether more follow."""
    encoded = b""
    while number >= 1 << 7:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def embed_arguments(
    arguments: Mapping[str, NDArray[Any]], *, as_item: str
) -> dict[str, NDArray[Any]]:
    """The arguments of `embed` from those of one side of `score`.

    Args:
        arguments: Of `score`.
        as_item: The side: `left` or `right`.
    """
    return {
        name.replace(as_item, "item", 1): np.asarray(array)
        for name, array in arguments.items()
        if name.startswith(as_item)
    }
