"""Faults in the writers of files: one tensor is negated, scaled, zeroed or laid out in another order where it is written."""

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import torch

import pocketcnn.formats.executorch.module as executorch_module
import pocketcnn.formats.ncnn.convolution as ncnn_convolution
from pocketcnn.formats.onnx.builder import OnnxBuilder
from pocketcnn.formats.tflite.builder import TfliteBuilder

Change = Callable[[np.ndarray, str], np.ndarray]
"""An array and a name -> the array to write."""


def _negated(array: np.ndarray) -> np.ndarray:
    return -array if array.dtype.kind != "u" else (np.int16(256) - array).astype(np.uint8)


def _scaled(array: np.ndarray) -> np.ndarray:
    middle = 128 if array.dtype == np.uint8 else 0
    return ((array.astype(np.float64) - middle) * 0.8 + middle).astype(array.dtype)


def _zeroed(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, 128 if array.dtype == np.uint8 else 0)


def _transposed(array: np.ndarray) -> np.ndarray:
    """The values in the order of the axes backwards, in the same shape; a vector is reversed."""
    values = array[::-1] if array.ndim == 1 else array.transpose().reshape(array.shape)
    return np.ascontiguousarray(values)


FAULTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "negated": _negated,
    "scaled": _scaled,
    "zeroed": _zeroed,
    "transposed": _transposed,
}


@contextlib.contextmanager
def writing(runtime: str, change: Change) -> Iterator[None]:
    """Within the context, the writer of `runtime` writes `change(array, name)` in the place of each array."""
    with _PLACES[runtime](change):
        yield


def is_tensor(array: np.ndarray, name: str) -> bool:
    """Whether an array is a tensor of the network (weight, bias, scale per channel), not a shape or a bound."""
    return array.size > 1 and (array.dtype.kind == "f" or array.dtype.itemsize == 1 or "bias" in name)


def _in_onnx(change: Change) -> contextlib.AbstractContextManager[object]:
    real = OnnxBuilder.constant

    def constant(self: OnnxBuilder, value: np.ndarray, hint: str, *, shared: bool = True) -> str:
        return real(self, change(value, hint), hint, shared=shared)

    return mock.patch.object(OnnxBuilder, "constant", constant)


def _in_tflite(change: Change) -> contextlib.AbstractContextManager[object]:
    real = TfliteBuilder.constant

    def constant(self: TfliteBuilder, array: np.ndarray, hint: str, quantization: object = None) -> object:
        return real(self, change(array, hint), hint, quantization)  # type: ignore[arg-type]

    return mock.patch.object(TfliteBuilder, "constant", constant)


def _in_ncnn(change: Change) -> contextlib.AbstractContextManager[object]:
    real = ncnn_convolution._weights

    def weights(weight: np.ndarray, bias: np.ndarray | None) -> object:
        tag = f"weight of {weight.shape} {weight.sum():g}"
        return real(change(weight, tag), None if bias is None else change(bias, f"bias behind {tag}"))

    return mock.patch.object(ncnn_convolution, "_weights", weights)


def _in_executorch(change: Change) -> contextlib.AbstractContextManager[object]:
    real = executorch_module._tensors

    def tensors(graph: object, node: object) -> dict[str, torch.Tensor]:
        found = real(graph, node)  # type: ignore[arg-type]
        return {
            role: torch.from_numpy(np.ascontiguousarray(change(tensor.numpy(), f"{node.name}.{role}")))  # type: ignore[attr-defined]
            for role, tensor in found.items()
        }

    return mock.patch.object(executorch_module, "_tensors", tensors)


_PLACES = {
    "onnxruntime": _in_onnx,
    "openvino": _in_onnx,
    "litert": _in_tflite,
    "ncnn": _in_ncnn,
    "executorch": _in_executorch,
}
