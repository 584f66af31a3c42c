"""Graphs as text: an input shape and blocks, ``24x56x56 ir:3,1,144,24,0,6 max:3,2``.

A latency table describes its measured networks in this notation. A block is its name (`blocks.BLOCKS`) and integers.
"""

from functools import lru_cache
from math import prod

import numpy as np
import torch
from torch import Tensor

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import Graph
from pocketcnn.graph.node import Shape
from pocketcnn.targets.latency.blocks import BLOCKS
from pocketcnn.targets.latency.graph_builder import GraphBuilder, Weights


class BlockError(PocketcnnError):
    """A text that does not describe a valid graph."""


POOL = 1 << 20
ANSWERS = 10


@lru_cache(maxsize=1)
def _pool() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(POOL, dtype=np.float32))


class PooledWeights:
    """Random weights sliced from one pool, which is faster than drawing them; consecutive slices start at different offsets."""

    def __init__(self) -> None:
        self._start = 0

    def __call__(self, shape: Shape) -> Tensor:
        count = prod(shape)
        scale = (2 / prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        self._start = (self._start + 7919) % (POOL // 2)
        values = _pool()[self._start : self._start + count]
        if len(values) < count:
            values = values.repeat(-(-count // len(values)))[:count]
        return (values * scale).reshape(shape)


def no_weights(shape: Shape) -> Tensor:
    """Weights without values, for graphs that are not executed."""
    return torch.empty(shape, device="meta")


def build(text: str, weights: Weights = no_weights) -> Graph:
    """The graph that a text describes. A feature map at its end is averaged and classified by a linear layer.

    So measured networks end like real ones, and int8 pooling is measured on integers, not on the float output.

    Raises:
        BlockError: the text is not valid, or its blocks do not fit together.
    """
    try:
        builder, x = _built(text, weights)
        return builder.graph(builder.linear(builder.mean(x), ANSWERS) if len(builder.shape(x)) == 3 else x)
    except _NO_GRAPH as error:
        raise BlockError(f"{text!r} does not describe a valid graph: {error}") from error


def output_shape(text: str) -> Shape:
    """The output shape of the last block.

    Raises:
        BlockError: as `build`.
    """
    try:
        builder, x = _built(text, no_weights)
        return builder.shape(x)
    except _NO_GRAPH as error:
        raise BlockError(f"{text!r} does not describe a valid graph: {error}") from error


_NO_GRAPH = (KeyError, ValueError, TypeError, ZeroDivisionError, PocketcnnError, RuntimeError)


def _built(text: str, weights: Weights) -> tuple[GraphBuilder, str]:
    shape, *blocks = text.split()
    builder = GraphBuilder(tuple(int(axis) for axis in shape.split("x")), weights)
    x = "x"
    for block in blocks:
        name, _, numbers = block.partition(":")
        x = BLOCKS[name](builder, x, *(int(number) for number in numbers.split(",") if number))
    return builder, x
