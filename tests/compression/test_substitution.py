"""Networks made over: what takes the place of what, how near it comes, and that nothing is left."""

from functools import cache

import pytest
import torch

from pocketcnn.compression.quantization import quantize
from pocketcnn.compression.substitution import substitute
from pocketcnn.compression.substitution.kernels import composition, crop, factor_pair
from pocketcnn.compression.substitution.replacements import REPLACEMENTS
from pocketcnn.errors import UsageError
from pocketcnn.graph import OPS, Graph, GraphNetwork, Node, capture
from pocketcnn.models import create
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.capability import OpPattern
from pocketcnn.targets.check import check

IMAGES = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def lacking(*patterns: OpPattern) -> Target:
    return Target(name="poor", runtime="torch", lacks=patterns)


@cache
def network(name: str) -> GraphNetwork:
    torch.manual_seed(0)
    return GraphNetwork(capture(create(name, width=0.25, classes=3), (1, 3, 32, 32)))


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("mobilenet_v3_large", IMAGES),
        ("mobilenet_v3_small", None),
        ("mnasnet_a1", IMAGES),
        ("mobilenet_v4_conv_small", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_is_left_that_the_target_lacks(name, images):
    target, given = load_target("dsp-npu"), network(name)
    before = {key: value.clone() for key, value in given.state_dict().items()}
    made = substitute(given, target, images)
    assert made.left == ()
    assert made.changes
    assert not check(made.network.graph, target).fallen
    assert made.network.eval()(IMAGES).isfinite().all()
    assert all(torch.equal(value, before[key]) for key, value in given.state_dict().items())


def chain(*nodes: Node, **tensors: torch.Tensor) -> GraphNetwork:
    """A network of one path: conv -> `nodes` -> conv -> mean."""
    first = Node("first", "conv2d", ("input",), (), ATTRS, {"weight": "first.weight"})
    last = Node("last", "conv2d", (nodes[-1].name,), (), ATTRS, {"weight": "last.weight"})
    mean = Node("mean", "mean", ("last",), (), {"axes": (1, 2), "keepdim": False})
    generator = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(3, 3, 1, 1, generator=generator) for name in ("first.weight", "last.weight")}
    image = Node("input", "input", (), (3, 32, 32))
    named = {name.replace("_", "."): tensor for name, tensor in tensors.items()}
    return GraphNetwork(Graph((image, first, *nodes, last, mean), "mean", {**weights, **named}).rebuilt())


ATTRS = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}


def activation(op: str) -> GraphNetwork:
    attrs = {"leaky_relu": {"slope": 0.1}, "elu": {"alpha": 1.0}}.get(op, {})
    return chain(Node("act", op, ("first",), (), attrs))


@pytest.mark.parametrize("op", ["hardswish", "silu", "hardsigmoid", "sigmoid", "tanh", "relu6", "leaky_relu", "elu"])
@pytest.mark.parametrize("images", [None, IMAGES])
def test_a_stand_in_is_near_what_it_stands_for(op, images):
    given = activation(op)
    made = substitute(given, lacking(OpPattern(op=op)), images)
    assert op not in {node.op for node in made.network.graph.nodes}
    wanted, found = last_map(given), last_map(made.network)
    assert (found - wanted).pow(2).mean() < 0.25 * wanted.pow(2).mean()


def last_map(network: GraphNetwork) -> torch.Tensor:
    """What the last convolution gives for the images."""
    return GraphNetwork(network.graph.rebuilt(output="last"))(IMAGES)


def test_h_sigmoid_spelled_out_is_the_same_function():
    given = activation("hardsigmoid")
    made = substitute(given, lacking(OpPattern(op="hardsigmoid")))
    torch.testing.assert_close(made.network(IMAGES), given(IMAGES))


def test_a_second_choice_where_the_first_is_lacking_too():
    made = substitute(activation("hardswish"), lacking(OpPattern(op="hardswish"), OpPattern(op="relu6")))
    assert made.network.graph["act"].op == "clip"
    made = substitute(
        activation("hardswish"), lacking(OpPattern(op="hardswish"), OpPattern(op="relu6"), OpPattern(op="clip"))
    )
    assert made.network.graph["act"].op == "relu"


def test_what_has_no_stand_in_is_left_and_said():
    made = substitute(activation("relu"), lacking(OpPattern(op="relu")))
    assert made.left == (("act", "relu"),)
    assert made.changes == ()


def test_every_stand_in_is_made_of_operations():
    assert set(REPLACEMENTS) <= set(OPS)
    assert {op for chains in REPLACEMENTS.values() for each in chains for op, _ in each} <= set(OPS)


def gated(op_after: str = "") -> GraphNetwork:
    """A gate that is the same for every image: constant · map, so dropping the multiply changes nothing."""
    gate = Node("gate", "constant", (), (), {"shape": (3, 1, 1)}, {"value": "gate.value"})
    product = Node("product", "mul", ("first", "gate"), ())
    tail = (Node("after", op_after, ("product",), ()),) if op_after else ()
    return chain(gate, product, *tail, gate_value=torch.tensor([0.2, 1.0, 3.0]))


@pytest.mark.parametrize("op_after", ["", "relu"])
def test_a_gate_that_never_changes_is_folded_without_a_trace(op_after):
    """Into the next weights; before an activation into a depthwise convolution."""
    given = gated(op_after)
    made = substitute(given, lacking(OpPattern(op="mul", broadcast=True)), IMAGES)
    torch.testing.assert_close(made.network(IMAGES), given(IMAGES), rtol=1e-4, atol=1e-5)
    ops = [node.op for node in made.network.graph.nodes]
    assert "mul" not in ops
    assert ops.count("conv2d") == (3 if op_after else 2)


def test_a_pair_of_kernels_that_is_one_large_kernel_is_found():
    torch.manual_seed(0)
    halves = torch.rand(20, 9).double() + 0.1, torch.rand(20, 9).double() + 0.1
    kernels = (composition(halves[0]) @ halves[1][:, :, None])[:, :, 0]
    plain = torch.eye(25).double().expand(20, -1, -1)
    first, second = factor_pair(kernels, plain)
    again = (composition(first.flatten(1)) @ second.flatten(1)[:, :, None])[:, :, 0]
    assert (
        (again - kernels).norm(dim=1) < 0.04 * kernels.norm(dim=1)
    ).all()  # the search ends near, not at, the answer


def test_composition_is_what_two_convolutions_do():
    torch.manual_seed(0)
    first, second = torch.randn(1, 9), torch.randn(1, 9)
    both = (composition(first) @ second[:, :, None]).reshape(1, 1, 5, 5)
    image = torch.randn(1, 1, 9, 9)
    two = torch.nn.functional.conv2d(
        torch.nn.functional.conv2d(image, first.reshape(1, 1, 3, 3)), second.reshape(1, 1, 3, 3)
    )
    torch.testing.assert_close(torch.nn.functional.conv2d(image, both), two, rtol=1e-4, atol=1e-4)


def test_a_crop_is_the_centre_on_noise_and_keeps_the_sum_on_a_flat_map():
    kernels = torch.randn(4, 25, generator=torch.Generator().manual_seed(0)).double()
    centre = kernels.reshape(4, 5, 5)[:, 1:4, 1:4]
    plain = torch.eye(25).double().expand(4, -1, -1)
    torch.testing.assert_close(crop(kernels, plain, 5)[:, 0], centre)
    flat = torch.ones(25, 25).double().expand(4, -1, -1) + 1e-6 * plain
    torch.testing.assert_close(crop(kernels, flat, 5).sum((1, 2, 3)), kernels.sum(1), rtol=1e-3, atol=1e-3)


def test_images_bring_the_kernels_nearer():
    """Smooth maps: what lay outside the 3x3 window is not lost."""
    smooth = torch.nn.functional.avg_pool2d(
        torch.randn(32, 3, 36, 36, generator=torch.Generator().manual_seed(2)), 5, 1
    )
    attrs = {**ATTRS, "padding": (2, 2), "groups": 3}
    weight = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(3))
    given = chain(Node("wide", "conv2d", ("first",), (), attrs, {"weight": "wide.weight"}), wide_weight=weight)
    target = lacking(OpPattern(op="conv2d", kernel=5, depthwise=True))
    errors = [
        (substitute(given, target, images, kernels="single").network(smooth) - given(smooth)).pow(2).mean()
        for images in (smooth, None)
    ]
    assert errors[0] < 0.2 * errors[1]
    pair = substitute(given, target, smooth, kernels="pair").network
    assert [node.op for node in pair.graph.nodes].count("conv2d") == 4
    assert (pair(smooth) - given(smooth)).pow(2).mean() < errors[0]


def test_wrong_use():
    given = network("mobilenet_v3_small")
    with pytest.raises(UsageError, match="already quantized"):
        substitute(quantize(given, IMAGES), "dsp-npu")
    with pytest.raises(UsageError, match="one of pair, single, not 'triple'"):
        substitute(given, "dsp-npu", kernels="triple")  # type: ignore[arg-type]
