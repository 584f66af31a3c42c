"""Single operations in ONNX Runtime beside their definition: at all integers, or all pairs of integers, in many formats."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Node, Numerics
from pocketcnn.graph.node import Attr, Shape
from pocketcnn.runtimes import get_runtime

TRIALS = 40
"""Choices of formats for each operation."""

POOL: Mapping[str, Attr] = {
    "kernel": (3, 3),
    "stride": (2, 2),
    "padding": (1, 1),
    "ceil": False,
    "count_padding": False,
}

OPERATIONS: Mapping[str, tuple[str, Mapping[str, Attr], int]] = MappingProxyType(
    {
        "add": ("add", {}, 2),
        "subtract": ("sub", {}, 2),
        "multiply": ("mul", {}, 2),
        "concat": ("concat", {"axis": 0}, 2),
        "global average pool": ("mean", {"axes": (1, 2), "keepdim": True}, 1),
        "average pool": ("avg_pool", POOL, 1),
        "h-swish": ("hardswish", {}, 1),
        "h-sigmoid": ("hardsigmoid", {}, 1),
        "sigmoid": ("sigmoid", {}, 1),
        "SiLU": ("silu", {}, 1),
        "tanh": ("tanh", {}, 1),
        "leaky ReLU": ("leaky_relu", {"slope": 0.1}, 1),
    }
)
"""Title -> operation, attributes, number of inputs."""


@dataclass(frozen=True)
class Compared:
    """An operation in the runtime beside its definition."""

    integers: int
    equal: float
    largest_step: float


def measured(title: str, seed: int = 0) -> Compared:
    """`TRIALS` formats of one operation, drawn anew from `seed`."""
    op, attrs, inputs = OPERATIONS[title]
    random, off = Random(f"{title} {seed}"), []
    for _ in range(TRIALS):
        formats = [_format(random) for _ in range(inputs + 1)]
        graph, x = (_of_pairs if inputs == 2 else _of_one)(op, attrs, formats)
        with closing(get_runtime("onnxruntime").build(to_onnx(graph).SerializeToString(), threads=1)) as session:
            found = torch.from_numpy(session.run(np.ascontiguousarray(x.numpy())))
        with torch.inference_mode():
            expected = GraphNetwork(graph).eval()(x)
        off.append(((found - expected) / formats[-1].scale).abs().round().flatten())
    steps = torch.cat(off)
    return Compared(len(steps), float((steps == 0).double().mean()), float(steps.max()))


def _format(random: Random) -> ActivationFormat:
    """uint8 of a range such as activations have, every third without negative numbers."""
    low, high = random.choice([0.0, -random.uniform(0.1, 4), -random.uniform(0.1, 4)]), random.uniform(0.5, 8)
    scale = float(np.float32((high - low) / 255))
    return ActivationFormat(scale=scale, zero_point=round(-low / scale))


def _of_pairs(op: str, attrs: Mapping[str, Attr], formats: list[ActivationFormat]) -> tuple[Graph, Tensor]:
    """The operation on two values, and an image of all 65 536 pairs of integers."""
    halves = [
        Node(name, "slice", ("input",), (), {"axis": 0, "start": place, "stop": place + 1, "step": 1})
        for place, name in enumerate("ab")
    ]
    a, b = (_numbers(form) for form in formats[:2])
    pairs = torch.stack([a[:, None].expand(256, 256), b[None].expand(256, 256)])[None]
    nodes = (Node("input", "input", (), (2, 256, 256)), *halves, Node("y", op, ("a", "b"), (), attrs))
    return _graph(nodes, dict(zip("aby", formats, strict=True))), pairs


def _of_one(op: str, attrs: Mapping[str, Attr], formats: list[ActivationFormat]) -> tuple[Graph, Tensor]:
    """The operation on one value, and images of all 256 integers in random order, many times."""
    shape: Shape = (64, 16, 16)
    generator = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(256, generator=generator) for _ in range(2 * 64)])
    nodes = (Node("input", "input", (), shape), Node("y", op, ("input",), (), attrs))
    return _graph(nodes, {"input": formats[0], "y": formats[1]}), _numbers(formats[0])[order].reshape(2, *shape)


def _graph(nodes: tuple[Node, ...], formats: Mapping[str, ActivationFormat]) -> Graph:
    return Graph(nodes, "y", {}, Numerics(activations=formats)).rebuilt()


def _numbers(form: ActivationFormat) -> Tensor:
    return (torch.arange(256) - form.zero_point) * torch.tensor(form.scale)
