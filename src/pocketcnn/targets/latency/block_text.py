"""Graphs as text: an input shape and blocks, ``24x56x56 ir:3,1,144,24,0,6 max:3,2``.

A latency table says in this language what was measured. A block is its name (`blocks.BLOCKS`) and whole numbers.
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
    """A text that stands for no graph."""


POOL = 1 << 20
ANSWERS = 10


@lru_cache(maxsize=1)
def _pool() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(POOL, dtype=np.float32))


class PooledWeights:
    """Random weights cut from one pool, which costs less than to draw them; no two begin at the same place."""

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
    """Weights without values, for graphs that are only looked at."""
    return torch.empty(shape, device="meta")


def build(text: str, weights: Weights = no_weights) -> Graph:
    """The graph that a text stands for; a feature map at its end is averaged, and classified by a linear layer.

    So what is measured ends as networks end, and int8 pools are pools of integers, not of the float answer.

    Raises:
        BlockError: it is not in the language, or its blocks do not fit each other.
    """
    try:
        builder, x = _built(text, weights)
        return builder.graph(builder.linear(builder.mean(x), ANSWERS) if len(builder.shape(x)) == 3 else x)
    except _NO_GRAPH as error:
        raise BlockError(f"{text!r} stands for no graph: {error}") from error


def output_shape(text: str) -> Shape:
    """The shape of what the last block gives.

    Raises:
        BlockError: as `build`.
    """
    try:
        builder, x = _built(text, no_weights)
        return builder.shape(x)
    except _NO_GRAPH as error:
        raise BlockError(f"{text!r} stands for no graph: {error}") from error


_NO_GRAPH = (KeyError, ValueError, TypeError, ZeroDivisionError, PocketcnnError, RuntimeError)


def _built(text: str, weights: Weights) -> tuple[GraphBuilder, str]:
    shape, *blocks = text.split()
    builder = GraphBuilder(tuple(int(axis) for axis in shape.split("x")), weights)
    x = "x"
    for block in blocks:
        name, _, numbers = block.partition(":")
        x = BLOCKS[name](builder, x, *(int(number) for number in numbers.split(",") if number))
    return builder, x
