"""Weights of an ONNX model in fewer bits, by operations that every runtime has.

A weight is stored as float16, or as int8 with a scale for each channel, and becomes float32
again where it is used. So the file is a half or a quarter of its size and activations stay
exact, but the model is not faster. The packages of the extra `onnx` are imported when they are
needed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

WeightType = Literal["float16", "int8"]

# Smaller arrays, biases for example, cost nothing and matter.
_SMALLEST = 256
_LARGEST_INT8 = 127.0


def quantized(model: bytes, *, kind: WeightType) -> bytes:
    """The same model with other weights.

    Args:
        model: A serialised `ModelProto`.
        kind: Type of the weights.
    """
    import onnx

    proto = onnx.load_from_string(model)
    graph = proto.graph
    kept, nodes = [], []
    for weight in graph.initializer:
        array = onnx.numpy_helper.to_array(weight)
        if array.dtype != np.float32 or array.ndim < 2 or array.size < _SMALLEST:
            kept.append(weight)
            continue
        stored, node = _STORED[kind](array, weight.name)
        kept += stored
        nodes.append(node)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    before = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *before])
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data


def _float16(array: NDArray[np.float32], name: str) -> tuple[list[Any], Any]:
    """Arrays to store, and the node that makes float32 of them."""
    from onnx import TensorProto, helper, numpy_helper

    largest = np.finfo(np.float16).max
    half = np.clip(array, -largest, largest).astype(np.float16)
    node = helper.make_node("Cast", [f"{name}/float16"], [name], to=TensorProto.FLOAT)
    return [numpy_helper.from_array(half, f"{name}/float16")], node


def _int8(array: NDArray[np.float32], name: str) -> tuple[list[Any], Any]:
    """Arrays to store, and the node that makes float32 of them."""
    from onnx import helper, numpy_helper

    axis, scale, whole = min(
        ((axis, *_whole_numbers(array, axis=axis)) for axis in range(array.ndim)),
        key=lambda one: _error(array, *one),
    )
    names = [f"{name}/int8", f"{name}/scale"]
    node = helper.make_node("DequantizeLinear", names, [name], axis=axis)
    arrays = [
        numpy_helper.from_array(one, stored)
        for one, stored in zip((whole, scale), names, strict=True)
    ]
    return arrays, node


_STORED: Mapping[WeightType, Callable[[NDArray[np.float32], str], tuple[list[Any], Any]]] = {
    "float16": _float16,
    "int8": _int8,
}


def _whole_numbers(
    array: NDArray[np.float32], *, axis: int
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Scales along an axis, and the weights in units of them."""
    others = tuple(other for other in range(array.ndim) if other != axis)
    largest = np.max(np.abs(array), axis=others)
    scale = np.where(largest > 0, largest / _LARGEST_INT8, 1.0).astype(np.float32)
    return scale, np.round(array / _along(scale, array.ndim, axis)).astype(np.int8)


def _error(
    array: NDArray[np.float32], axis: int, scale: NDArray[np.float32], whole: NDArray[np.int8]
) -> float:
    return float(np.sum(np.square(whole * _along(scale, array.ndim, axis) - array)))


def _along(scale: NDArray[np.float32], ndim: int, axis: int) -> NDArray[np.float32]:
    return scale.reshape([-1 if one == axis else 1 for one in range(ndim)])
