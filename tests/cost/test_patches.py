"""Patch-wise execution: the arithmetic against patches that are really run, the memory against sums done by hand."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from patchwise import run_patches

import pocketcnn as pc
from pocketcnn.cost import best_of, count, patch_plans
from pocketcnn.cost.patches import patch_intervals, splits, stage
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import GraphError
from pocketcnn.graph.passes.fold import for_inference

ACTIVATIONS = ("relu", "hardswish", "sigmoid")
KINDS = tuple(
    "conv conv depthwise max_pool avg_pool pad upsample shift rows add concat act".split()  # noqa: SIM905
)


def conv(
    name: str, source: str, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Node:
    attrs = {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (dilation,) * 2, "groups": groups}
    return Node(name, "conv2d", (source,), (), attrs, {"weight": f"{name}.weight"})


def values(graph: Graph, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every value of the whole network."""
    seen: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        GraphNetwork(graph).run(image, lambda node, value: seen.update({node.name: value}))
    return seen


@st.composite
def random_stage(draw: st.DrawFn) -> Graph:
    """Up to nine local operations of every kind on 4 channels, with branches, and a classifier."""
    size = draw(st.integers(7, 17)), draw(st.integers(7, 17))
    nodes = [Node("input", "input", (), (4, *size))]
    weights = torch.Generator().manual_seed(0)
    tensors: dict[str, torch.Tensor] = {"gain": torch.randn(4, generator=weights)}
    maps = ["input"]  # values of 4 channels
    for index in range(draw(st.integers(1, 9))):
        name, source = f"n{index}", draw(st.sampled_from(maps[-2:]))
        kind = draw(st.sampled_from(KINDS))
        kernel, stride, padding = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
        window = {"kernel": (kernel, 3), "stride": (stride, 2), "padding": (min(padding, kernel // 2), 1)}
        if kind in ("conv", "depthwise"):
            groups, dilation = (4, 1) if kind == "depthwise" else (1, draw(st.integers(1, 2)))
            tensors[f"{name}.weight"] = torch.randn(4, 4 // groups, kernel, draw(st.integers(1, 3)), generator=weights)
            nodes.append(conv(name, source, kernel, stride, padding, dilation, groups))
        elif kind == "max_pool":
            attrs = {**window, "dilation": (draw(st.integers(1, 2)), 1), "ceil": draw(st.booleans())}
            nodes.append(Node(name, "max_pool", (source,), (), attrs))
        elif kind == "avg_pool":
            attrs = {**window, "ceil": draw(st.booleans()), "count_padding": draw(st.booleans())}
            nodes.append(Node(name, "avg_pool", (source,), (), attrs))
        elif kind == "pad":
            pads = tuple(draw(st.integers(-1, 2)) for _ in range(4))
            nodes.append(Node(name, "pad", (source,), (), {"pads": pads, "value": 0.5}))
        elif kind == "upsample":
            nodes.append(Node(name, "upsample", (source,), (), {"scale": (draw(st.integers(1, 3)), 2)}))
        elif kind == "shift":
            moves = {axis: tuple(draw(st.integers(-2, 2)) for _ in range(4)) for axis in ("down", "right")}
            nodes.append(Node(name, "shift", (source,), (), moves))
        elif kind == "rows":
            nodes.append(
                Node(name, "slice", (source,), (), {"axis": draw(st.integers(1, 2)), "start": 1, "stop": 4, "step": 2})
            )
        elif kind == "add":
            nodes += [Node(f"{name}a", "relu", (source,), ()), Node(name, "add", (f"{name}a", source), ())]
        elif kind == "concat":
            cut = {"axis": 0, "start": 1, "stop": 7, "step": 2}
            blur = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "ceil": False}
            nodes += [
                Node(f"{name}a", "max_pool", (source,), (), blur),
                Node(f"{name}b", "concat", (source, f"{name}a"), (), {"axis": 0}),
                Node(f"{name}c", "slice", (f"{name}b",), (), cut),
                Node(f"{name}d", "gather", (f"{name}b",), (), {}, {"index": "order"}),
                Node(name, "concat", (f"{name}c", f"{name}d"), (), {"axis": 0}),
            ]
            tensors["order"] = torch.tensor([5])
        else:
            gain = Node(f"{name}g", "constant", (), (), {"shape": (4, 1, 1)}, {"value": "gain"})
            act = Node(f"{name}a", draw(st.sampled_from(ACTIVATIONS)), (source,), ())
            nodes += [gain, act, Node(name, "mul", (f"{name}a", gain.name), ())]
        maps.append(name)
    nodes.append(Node("mean", "mean", (nodes[-1].name,), (), {"axes": (1, 2), "keepdim": False}))
    try:
        return Graph(tuple(nodes), "mean", tensors).rebuilt()
    except GraphError:
        assume(False)
        raise


@given(graph=random_stage(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_patches_give_what_the_whole_gives(graph: Graph, seed: int) -> None:
    image = torch.randn(1, *graph.input_shape, generator=torch.Generator().manual_seed(seed))
    whole = values(graph, image)
    for split in splits(graph):
        for grid in (1, 2, 3):
            if grid > min(graph[split].shape[1:]):
                continue
            found, _ = run_patches(graph, split, grid, image)
            torch.testing.assert_close(found, whole[split], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1", "shufflenet_v2"])
def test_the_best_plan_of_a_network_works(name: str) -> None:
    graph = for_inference(pc.capture(pc.create(name).eval(), (1, 3, 96, 96)))
    plan = best_of(patch_plans(graph))
    assert plan is not None
    assert plan.peak_bytes < count(graph).peak_activation_bytes
    image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    found, madds = run_patches(graph, plan.split, plan.grid, image)
    torch.testing.assert_close(found, values(graph, image)[plan.split], rtol=1e-4, atol=1e-4)
    assert madds == sum(graph.madds(node) for node in stage(graph, plan.split)) + plan.extra_madds


def three_convolutions() -> Graph:
    """1 x 16 x 16 -> 8 x 16 x 16 -> 8 x 8 x 8 (stride 2) -> a classifier; kernels 3 x 3."""
    nodes = (
        Node("input", "input", (), (1, 16, 16)),
        conv("a", "input", 3, 1, 1),
        Node("a/relu", "relu", ("a",), ()),
        conv("b", "a/relu", 3, 2, 1),
        Node("b/relu", "relu", ("b",), ()),
        Node("mean", "mean", ("b/relu",), (), {"axes": (1, 2), "keepdim": False}),
    )
    tensors = {"a.weight": torch.ones(8, 1, 3, 3), "b.weight": torch.ones(8, 8, 3, 3)}
    return Graph(nodes, "mean", tensors).rebuilt()


def test_a_plan_by_hand() -> None:
    """2 x 2 patches of 4 x 4 pixels of b. The upper left one needs rows 0 to 8 of a (9 with the border cut off, of
    which row -1 is padding: 8), and rows 0 to 8 of the image; the lower right one rows 7 to 15 of a, 6 to 15 of the image."""
    graph = three_convolutions()
    first, second = patch_intervals(graph, "b/relu", 0, 2)
    assert (first["b"], first["a"], first["input"]) == ((0, 4), (0, 8), (0, 9))
    assert (second["b"], second["a"], second["input"]) == ((4, 8), (7, 16), (6, 16))
    assert count(graph).peak_activation_bytes == 4 * (8 * 256 + 8 * 64)
    plan = best_of(patch_plans(graph, grids=(2,)))
    assert plan is not None
    assert (plan.split, plan.grid, plan.field) == ("b/relu", 2, (10, 10))
    output, image, patch = 4 * 8 * 64, 4 * 256, 4 * 8 * 9 * 9
    assert plan.peak_bytes == image + output + patch
    assert plan.streamed_peak_bytes == output + patch + 4 * 100
    assert plan.extra_madds == 9 * 8 * ((8 + 9) ** 2 - 16**2)


def test_a_network_without_a_local_stage_has_no_plan() -> None:
    """A mean over the image (squeeze-and-excite) right after the stem ends the stage, and the stem alone saves nothing."""
    nodes = (
        Node("input", "input", (), (4, 8, 8)),
        Node("mean", "mean", ("input",), (), {"axes": (1, 2), "keepdim": True}),
        Node("mul", "mul", ("input", "mean"), ()),
    )
    graph = Graph(nodes, "mul", {}).rebuilt()
    assert splits(graph) == []
    assert patch_plans(graph) == []
    assert best_of(patch_plans(graph)) is None


def test_plans_trade_memory_for_work() -> None:
    plans = patch_plans(pc.capture(pc.create("mobilenet_v2"), (1, 3, 96, 96)))
    assert len(plans) > 2
    assert [plan.peak_bytes for plan in plans] == sorted({plan.peak_bytes for plan in plans})
    assert [plan.extra_madds for plan in plans] == sorted({plan.extra_madds for plan in plans}, reverse=True)
