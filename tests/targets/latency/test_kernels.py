"""Kernels: which operations a runtime computes together."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.graph.passes.fold import for_inference
from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.kernels import FREE, Kernel, split


def described(text: str) -> list[str]:
    return [str(group.kernel) for group in split(build(text))]


def test_an_inverted_residual_is_a_kernel_for_each_convolution_with_what_follows_it() -> None:
    assert described("24x14x14 ir:3,1,144,24,8,2") == [
        "input, 24x14x14 -> 24x14x14",
        "pointwise + hardswish, 24x14x14 -> 144x14x14",
        "depthwise 3x3 + hardswish, 144x14x14 -> 144x14x14",
        "global_pool, 144x14x14 -> 144x1x1",
        "vector + relu, 144x1x1 -> 8x1x1",
        "vector + hardsigmoid, 8x1x1 -> 144x1x1",
        "mul_broadcast, 144x14x14 and 144x1x1 -> 144x14x14",
        "pointwise + add, 144x14x14 -> 24x14x14",
        "global_pool, 24x14x14 -> 24",
        "linear, 24 -> 10",
    ]


def test_an_addition_joins_the_later_of_two_convolutions_and_takes_the_activation_along() -> None:
    kernels = described("16x8x8 basic:2,32")
    assert "conv 3x3, 32x4x4 -> 32x4x4" in kernels
    assert "pointwise/2 + add + relu, 16x8x8 -> 32x4x4" in kernels


def test_an_activation_that_something_else_reads_past_stays_alone() -> None:
    kernels = described("16x8x8 nas:8")  # the ReLU before each separable convolution follows a sum that others read
    assert any(kernel.startswith("activation, ") for kernel in kernels)


def test_moved_channels_and_pools_are_kernels_of_their_own() -> None:
    kinds = [kernel.split()[0].rstrip(",") for kernel in described("32x8x8 shuffle2:1,32 max:3,2")]
    assert kinds.count("slice") == 2
    assert {"concat", "channel_shuffle", "max_pool"} <= set(kinds)


@pytest.mark.parametrize(
    "text", ["3x32x32 conv:3,2,16,6 bott:1,8,32,2,4 poolconv:64,2 fc:10,0", "64x8x8 condense:32,8,4"]
)
def test_every_node_belongs_to_one_kernel(text: str) -> None:
    graph = for_inference(build(text))
    groups = split(graph)
    names = [name for group in groups for name in group.nodes]
    assert sorted(names) == sorted(node.name for node in graph.nodes if node.op not in FREE)


def test_the_madds_of_the_kernels_are_those_of_the_graph() -> None:
    graph = build("3x32x32 conv:3,2,16,6 ir:5,2,64,24,8,2 bott:1,8,32,2,4 shuffle1:1,8,32,4 poolconv:64,2 fc:10,0")
    assert sum(g.kernel.madds for g in split(graph)) == sum(graph.madds(node) for node in graph.nodes)


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16))
def test_equal_kernels_are_one_key(inputs: int, outputs: int, side: int) -> None:
    first, second = (
        Kernel("pointwise", ("relu",), ((inputs, side, side),), (outputs, side, side), weights=inputs * outputs)
        for _ in range(2)
    )
    assert first == second
    assert {first: 1}[second] == 1
    assert first.madds == prod((inputs, outputs, side, side))
