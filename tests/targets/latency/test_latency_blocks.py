"""The language of building blocks, and the plan of what is measured."""

from itertools import islice

import pytest
import torch

from pocketcnn.graph import GraphNetwork
from pocketcnn.targets.latency.block_text import BlockError, PooledWeights, build, output_shape
from pocketcnn.targets.latency.blocks import BLOCKS
from pocketcnn.targets.latency.kernels import split
from pocketcnn.targets.latency.sampling import MAX_MADDS, plan

EXAMPLES = {
    "conv": "conv:3,2,24,1",
    "asym": "asym:7,24,1",
    "grouped": "grouped:3,1,32,4,6",
    "dw": "dw:5,2,2",
    "sep": "sep:3,1,24,6",
    "se": "se:8,5",
    "ir": "ir:5,1,64,32,8,2",
    "uib": "uib:3,5,2,64,24",
    "basic": "basic:2,48",
    "bott": "bott:1,16,32,2,8",
    "res2": "res2:8,4",
    "fire": "fire:8,16,16",
    "shuffle1": "shuffle1:1,16,32,4",
    "shuffle2": "shuffle2:2,64",
    "pruned2": "pruned2:2,24,56",
    "pick": "pick",
    "dense": "dense:32,8",
    "condense": "condense:32,8,4",
    "ghost": "ghost:48,1",
    "inception": "inception:8,8,16,4,8,8",
    "nas": "nas:8",
    "shiftunit": "shiftunit:64,32",
    "max": "max:3,2",
    "avg": "avg:3,2",
    "act": "act:2",
    "padconv": "padconv:3,24,1",
    "pool": "pool",
    "poolconv": "poolconv:48,2",
    "fc": "fc:10,1",
}


def test_there_is_an_example_of_every_block() -> None:
    assert EXAMPLES.keys() == BLOCKS.keys()


@pytest.mark.parametrize("block", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_block_is_a_network_that_runs(block: str) -> None:
    network = GraphNetwork(build(f"32x8x8 {block}", PooledWeights())).eval()
    answers = network(torch.randn(2, 32, 8, 8))
    assert answers.ndim == 2
    assert torch.isfinite(answers).all()


@pytest.mark.parametrize(
    "text",
    ["", "32x8x8 nonsense:3", "32x8x8 conv:3,2", "32xax8 max:2,2", "30x8x8 grouped:1,1,32,4,0", "8x8x8 conv:3,1,8,99"],
)
def test_what_is_not_in_the_language_is_refused(text: str) -> None:
    with pytest.raises(BlockError, match="does not describe a valid graph"):
        build(text)


def test_the_shape_after_a_block() -> None:
    assert output_shape("3x32x32 conv:3,2,16,1") == (16, 16, 16)
    assert output_shape("16x8x8 pool") == (16,)


def test_weights_without_values_make_the_same_graph() -> None:
    text = "3x32x32 conv:3,2,16,1 ir:3,1,64,16,4,2 pool fc:10,0"
    assert split(build(text)) == split(build(text, PooledWeights()))


def test_the_plan_is_the_same_for_a_seed_and_another_for_another() -> None:
    first, again, other = (list(islice(plan(seed), 30)) for seed in (0, 0, 1))
    assert first == again
    assert not set(first) & set(other)


def test_a_beginning_of_the_plan_has_the_common_kernels_and_nothing_too_long() -> None:
    groups = [split(build(text)) for text in islice(plan(0), 120)]
    kinds = {group.kernel.kind for found in groups for group in found}
    assert {
        "conv",
        "pointwise",
        "depthwise",
        "grouped",
        "vector",
        "linear",
        "global_pool",
        "max_pool",
        "avg_pool",
    } <= kinds
    assert {"concat", "slice", "channel_shuffle", "mul_broadcast", "activation", "input"} <= kinds
    assert max(sum(group.kernel.madds for group in found) for found in groups) < MAX_MADDS
