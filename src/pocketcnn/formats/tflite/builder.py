"""Construction of a TensorFlow Lite model: tensors and operators, without duplicates."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from pocketcnn.formats.tflite.flatbuffer import schema
from pocketcnn.formats.tflite.values import Quantization, Value
from pocketcnn.formats.tflite.versions import operator_version

SCHEMA_VERSION = 3
SIGNATURE = "serving_default"
"""The signature key that TensorFlow's tools expect for inputs and outputs."""

_PLACEHOLDER = 127
"""The largest operator code that fits into the old field `deprecated_builtin_code`."""

_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "ADD": "AddOptions",
        "AVERAGE_POOL_2D": "Pool2DOptions",
        "BATCH_MATMUL": "BatchMatMulOptions",
        "CONCATENATION": "ConcatenationOptions",
        "CONV_2D": "Conv2DOptions",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
        "DEQUANTIZE": "DequantizeOptions",
        "DIV": "DivOptions",
        "FULLY_CONNECTED": "FullyConnectedOptions",
        "GATHER": "GatherOptions",
        "HARD_SWISH": "HardSwishOptions",
        "LEAKY_RELU": "LeakyReluOptions",
        "LOCAL_RESPONSE_NORMALIZATION": "LocalResponseNormalizationOptions",
        "MAXIMUM": "MaximumMinimumOptions",
        "MAX_POOL_2D": "Pool2DOptions",
        "MEAN": "ReducerOptions",
        "MINIMUM": "MaximumMinimumOptions",
        "MUL": "MulOptions",
        "PAD": "PadOptions",
        "PADV2": "PadV2Options",
        "QUANTIZE": "QuantizeOptions",
        "RESHAPE": "ReshapeOptions",
        "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
        "SOFTMAX": "SoftmaxOptions",
        "STRIDED_SLICE": "StridedSliceOptions",
        "SUB": "SubOptions",
        "SUM": "ReducerOptions",
        "TRANSPOSE": "TransposeOptions",
    }
)
"""Operator -> its options table; other operators have none."""

_TYPES: Mapping[str, str] = MappingProxyType({"float32": "FLOAT32", "int32": "INT32", "int8": "INT8"})


class TfliteBuilder:
    """Collects operators and constants; duplicates are shared."""

    def __init__(self) -> None:
        self._schema = schema()
        self._buffers: list[Any] = [self._schema.BufferT()]  # buffer 0 is empty by convention
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[str, int], int] = {}
        self._known: dict[object, Value] = {}
        self._stored: dict[tuple[int, bytes], int] = {}
        self._inputs: list[Value] = []

    @property
    def activations(self) -> Any:
        """The codes of fused activations, by name."""
        return self._schema.ActivationFunctionType

    @property
    def paddings(self) -> Any:
        """The codes of the padding schemes, by name."""
        return self._schema.Padding

    def input(self, name: str, shape: tuple[int, ...]) -> Value:
        """A float32 input of `shape`; its first axis, the batch, may be resized."""
        value = self._tensor("FLOAT32", shape, None, 0, name)
        self._inputs.append(value)
        return value

    def constant(self, array: np.ndarray, hint: str, quantization: Quantization | None = None) -> Value:
        """A float32, int32 or int8 constant."""
        array = np.ascontiguousarray(array)
        key = (array.dtype.name, array.shape, quantization, self._buffer(array))
        if key not in self._known:
            self._known[key] = self._tensor(_TYPES[array.dtype.name], array.shape, quantization, key[-1], hint)
        return self._known[key]

    def op(
        self,
        builtin: str,
        inputs: Sequence[Value],
        shape: tuple[int, ...],
        quantization: Quantization | None,
        options: Mapping[str, object],
        hint: str,
    ) -> Value:
        """Add an operator and return its result, with this shape and quantization."""
        key = (builtin, tuple(value.index for value in inputs), shape, quantization, repr(sorted(options.items())))
        if key not in self._known:
            kind = "INT8" if quantization else "FLOAT32"
            output = self._tensor(kind, shape, quantization, 0, hint)
            self._operators.append(self._operator(builtin, inputs, output, options))
            self._known[key] = output
        return self._known[key]

    def finish(self, input_name: str, output_name: str, output: Value, metadata: Mapping[str, str]) -> bytes:
        """The bytes of the file. The builder cannot be used afterwards."""
        from pocketcnn.formats.tflite.flatbuffer import serialized  # its library comes with the schema's

        made = self._schema
        graph = made.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operators
        graph.inputs, graph.outputs = [value.index for value in self._inputs], [output.index]
        signature = made.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
        signature.inputs = [self._named(input_name, self._inputs[0])]
        signature.outputs = [self._named(output_name, output)]
        model = made.ModelT()
        model.version, model.description = SCHEMA_VERSION, "pocketcnn"
        model.subgraphs, model.signatureDefs = [graph], [signature]
        model.operatorCodes = [self._code(builtin, version) for builtin, version in self._codes]
        model.metadata = [self._metadata(name, text) for name, text in metadata.items()]
        model.buffers = self._buffers
        return serialized(model, sum(len(data) for _, data in self._stored))

    def _tensor(
        self, kind: str, shape: tuple[int, ...], quantization: Quantization | None, buffer: int, name: str
    ) -> Value:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, np.asarray(shape, np.int32), buffer
        tensor.type = getattr(self._schema.TensorType, kind)
        if buffer == 0:  # an activation: without a shape signature some kernels (SLICE) fix the batch to `shape`
            tensor.shapeSignature = np.asarray((-1, *shape[1:]), np.int32)
        if quantization is not None:
            tensor.quantization = self._quantization(quantization)
        self._tensors.append(tensor)
        return Value(len(self._tensors) - 1, tuple(shape), quantization)

    def _quantization(self, quantization: Quantization) -> Any:
        stored = self._schema.QuantizationParametersT()
        stored.scale = np.asarray(quantization.scales, np.float32)
        stored.zeroPoint = np.full(len(quantization.scales), quantization.zero_point, np.int64)
        stored.quantizedDimension = quantization.axis
        return stored

    def _buffer(self, array: np.ndarray) -> int:
        data = array.reshape(-1).view(np.uint8)
        key = (data.nbytes, data.tobytes())
        if key not in self._stored:
            self._stored[key] = len(self._buffers)
            self._buffers.append(self._schema.BufferT(data=data))
        return self._stored[key]

    def _operator(self, builtin: str, inputs: Sequence[Value], output: Value, options: Mapping[str, object]) -> Any:
        version = operator_version(builtin, inputs, output, options)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((builtin, version), len(self._codes))
        operator.inputs, operator.outputs = [value.index for value in inputs], [output.index]
        if builtin in _OPTIONS:
            table = _OPTIONS[builtin]
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(self._schema, f"{table}T")(**options)
        return operator

    def _code(self, builtin: str, version: int) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, builtin)
        code.deprecatedBuiltinCode = min(code.builtinCode, _PLACEHOLDER)
        code.version = version
        return code

    def _named(self, name: str, value: Value) -> Any:
        return self._schema.TensorMapT(name=name, tensorIndex=value.index)

    def _metadata(self, name: str, text: str) -> Any:
        buffer = self._buffer(np.frombuffer(text.encode(), np.uint8))
        return self._schema.MetadataT(name=name, buffer=buffer)
