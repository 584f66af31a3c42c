"""Runs TensorFlow Lite files on each set of kernels, and looks into them, for the tests of the writer."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from torch import Tensor

from pocketcnn.formats.tflite import to_tflite
from pocketcnn.graph import Graph, GraphNetwork

KERNELS = {
    "xnnpack": OpResolverType.AUTO,
    "optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
"""What runs a file by default, where XNNPACK is absent, and what micro-controllers' kernels are checked against."""


def interpreter(data: bytes, batch: tuple[int, ...], kernels: str = "xnnpack") -> Interpreter:
    """An interpreter of the file, ready for a batch of that shape (N, H, W, C)."""
    made = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=KERNELS[kernels])
    made.resize_tensor_input(made.get_input_details()[0]["index"], batch)
    made.allocate_tensors()
    return made


def run(data: bytes, images: Tensor, kernels: str = "xnnpack") -> Tensor:
    """The answers, with their axes as PyTorch has them, for images (N, C, H, W)."""
    batch = np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))
    ready = interpreter(data, batch.shape, kernels)
    ready.set_tensor(ready.get_input_details()[0]["index"], batch)
    ready.invoke()
    answer = ready.get_tensor(ready.get_output_details()[0]["index"])
    return torch.from_numpy(answer.transpose(0, 3, 1, 2).copy() if answer.ndim == 4 else answer)


def simulated(graph: Graph, images: Tensor) -> Tensor:
    """What PyTorch computes, in the same integers where the graph has some."""
    with torch.inference_mode():
        answer: Tensor = GraphNetwork(graph).eval()(images)
    return answer


def steps_off(graph: Graph, images: Tensor, kernels: str = "xnnpack") -> Tensor:
    """By how many steps each integer of the answer differs from the simulation's."""
    scale = graph.numerics.activations[graph.output].scale
    return ((run(to_tflite(graph), images, kernels) - simulated(graph, images)) / scale).abs().round()


def model(data: bytes) -> Any:
    """The file as objects of the schema."""
    return schema.ModelT.InitFromPackedBuf(data)


def operators(data: bytes) -> Counter[str]:
    """How often each operator is used."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    read = model(data)
    return Counter(names[read.operatorCodes[use.opcodeIndex].builtinCode] for use in read.subgraphs[0].operators)


def partitions(data: bytes, batch: tuple[int, ...]) -> int:
    """In how many pieces XNNPACK takes the file: 1 is all of it."""
    return sum(use["op_name"] == "DELEGATE" for use in interpreter(data, batch)._get_ops_details())
