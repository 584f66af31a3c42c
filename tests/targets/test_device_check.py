"""`target check` against the layer table of the MobileNetV3 paper, and its arithmetic on a network made by hand."""

import pytest
import torch

from pocketcnn.compression.quantization import with_placeholder_formats
from pocketcnn.errors import UsageError
from pocketcnn.graph import OPS, Graph, Node, capture
from pocketcnn.models import create
from pocketcnn.targets import Target, list_targets, load_target
from pocketcnn.targets.capability import Fallback, OpPattern, SlowOp
from pocketcnn.targets.check import check
from pocketcnn.targets.estimate import estimate
from pocketcnn.targets.matching import matches

# Searching for MobileNetV3, table 1: kernel, squeeze-and-excite, h-swish of the 15 bottlenecks of the large network
LARGE = (
    *((3, False, False), (3, False, False), (3, False, False)),
    *((5, True, False), (5, True, False), (5, True, False)),
    *((3, False, True), (3, False, True), (3, False, True), (3, False, True)),
    *((3, True, True), (3, True, True), (5, True, True), (5, True, True), (5, True, True)),
)


def expected_by_the_paper() -> set[str]:
    names = {"features.stem.act", "features.last.act", "classifier.1"}  # h-swish outside the bottlenecks
    for number, (kernel, squeeze, hard_swish) in enumerate(LARGE, start=1):
        block = f"features.block{number}"
        if kernel == 5:
            names.add(f"{block}.depthwise.conv")
        if squeeze:
            names |= {f"{block}.squeeze_excite.gate", f"{block}.squeeze_excite/mul"}
        if hard_swish:
            names |= {f"{block}.expand.act", f"{block}.depthwise.act"}
    return names


@pytest.fixture(scope="module")
def large() -> Graph:
    return capture(create("mobilenet_v3_large"), (1, 3, 224, 224))


def test_mobilenet_v3_large_on_the_dsp_class(large: Graph):
    found = check(with_placeholder_formats(large), load_target("dsp-npu"))
    assert {layer.name for layer in found.fallen} == expected_by_the_paper()
    assert len(found.fallen) == 43  # 21 h-swish, 8 gates and their multiplications, 6 kernels
    by_hand = sum(large.madds(large[f"features.block{number}.depthwise.conv"]) for number in (4, 5, 6, 13, 14, 15))
    assert found.fallen_share == pytest.approx(by_hand / sum(large.madds(node) for node in large.nodes[1:]))
    assert found.runs
    assert not found.passes
    assert found.estimate is not None
    assert 0 < found.estimate.fallback_seconds < found.estimate.seconds


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large_minimalistic", "shufflenet_v2"])
def test_networks_without_these_layers_run_wholly(name: str):
    graph = with_placeholder_formats(capture(create(name, classes=5), (1, 3, 64, 64)))
    found = check(graph, load_target("dsp-npu"))
    assert found.passes
    assert (found.partitions, found.transfers, found.transfer_bytes) == (1, 0, 0)


def device(**fields: object) -> Target:
    rates = {"peak_madds": {"float32": 1000.0}, "bandwidth": 100.0}
    return Target(**{"name": "x", **rates, **fields})  # type: ignore[arg-type]


def conv(name: str, source: str, kernel: int, groups: int = 2) -> Node:
    pad = kernel // 2
    attrs = {"stride": (1, 1), "padding": (pad, pad), "dilation": (1, 1), "groups": groups}
    return Node(name, "conv2d", (source,), (2, 4, 4), attrs, {"weight": f"{name}.weight"})


@pytest.fixture
def small() -> Graph:
    """(2, 4, 4) image -> 3x3 -> 5x5 depthwise + ReLU -> 3x3 -> mean."""
    nodes = (
        Node("input", "input", (), (2, 4, 4)),
        conv("a", "input", 3, 1),
        conv("b", "a", 5),
        Node("relu", "relu", ("b",), (2, 4, 4)),
        conv("c", "relu", 3, 1),
        Node("mean", "mean", ("c",), (2,), {"axes": (1, 2), "keepdim": False}),
    )
    tensors = {
        "a.weight": torch.ones(2, 2, 3, 3),
        "b.weight": torch.ones(2, 1, 5, 5),
        "c.weight": torch.ones(2, 2, 3, 3),
    }
    return Graph(nodes, "mean", tensors).rebuilt()


NO_LARGE = (OpPattern(op="conv2d", kernel_over=3, depthwise=True, why="too large"),)
HOST = Fallback(device="host", peak_madds=500.0, bandwidth=1e9, transfer_bandwidth=64.0, transfer_seconds=0.5)


def test_a_fallback_counted_by_hand(small: Graph):
    found = check(small, device(lacks=NO_LARGE, fallback=HOST))
    (layer,) = found.fallen
    assert (layer.name, layer.why, layer.together_with) == ("b", "too large", ("relu",))
    assert (layer.madds, layer.share) == (800, 800 / (800 + 2 * 576))
    assert (layer.bytes_out, layer.bytes_back) == (128, 128)
    assert (found.partitions, found.transfers, found.transfer_bytes) == (2, 2, 256)
    # 800 multiply-adds at 500 a second, and twice half a second and 128 bytes at 64 a second
    assert layer.seconds == pytest.approx(1.6 + 2 * (0.5 + 2))
    # each 3x3: 144 bytes of weights, 128 in, 128 out at 100 a second; the mean: 128 in, 8 out
    assert found.estimate is not None
    assert found.estimate.seconds == pytest.approx(6.6 + 2 * 4.0 + 1.36)


def test_without_a_fallback_it_does_not_run(small: Graph):
    found = check(small, device(lacks=NO_LARGE))
    assert not found.runs
    assert found.estimate is None
    with pytest.raises(UsageError, match=r"does not support b \(too large\) and has no fallback processor"):
        estimate(small, device(lacks=NO_LARGE))


def test_a_slow_layer_takes_its_factor_longer(small: Graph):
    slow = (SlowOp(op="conv2d", kernel=5, factor=3.0),)
    plain, slowed = estimate(small, device()), estimate(small, device(slow=slow))
    before, after = ({layer.name: layer.seconds for layer in found.layers} for found in (plain, slowed))
    assert after["b"] == 3 * before["b"]
    assert {name for name in before if before[name] != after[name]} == {"b"}


def test_limits_of_the_device(small: Graph):
    found = check(small, device(ram=100, storage=10**6))
    assert [(str(verdict.limit), verdict.kept) for verdict in found.limits] == [
        ("size<=1MB", True),
        ("ram<=100B", False),
    ][::-1]
    assert not found.runs


def test_numerics_that_the_device_does_not_run(small: Graph):
    target = Target(name="x", numerics=("int8",), peak_madds={"int8": 1.0}, bandwidth=1.0)
    assert not check(small, target).runs
    with pytest.raises(UsageError, match="supports int8, but this network is in float32"):
        estimate(small, target)


def test_what_a_pattern_means(small: Graph):
    wanted = {
        OpPattern(op="conv2d"): {"a", "b", "c"},
        OpPattern(op="conv2d", kernel=3): {"a", "c"},
        OpPattern(op="conv2d", depthwise=True): {"b"},
        OpPattern(op="conv2d", depthwise=False): {"a", "c"},
        OpPattern(op="conv2d", grouped=True): set(),
        OpPattern(op="conv2d", stride=2): set(),
        OpPattern(op="conv2d", stride=1, dilated=False): {"a", "b", "c"},
        OpPattern(op="relu"): {"relu"},
    }
    for pattern, names in wanted.items():
        assert {node.name for node in small.nodes if matches(pattern, small, node)} == names


def test_an_operation_that_there_is_not(small: Graph):
    with pytest.raises(UsageError, match="names the unknown operation 'hswish'"):
        check(small, device(lacks=(OpPattern(op="hswish"),)))


@pytest.mark.parametrize("name", list_targets())
def test_shipped_targets_speak_of_operations_that_there_are(name: str):
    target = load_target(name)
    assert {pattern.op for pattern in (*target.lacks, *target.slow)} <= set(OPS)
    if target.runtime is None:
        assert target.bandwidth
        assert set(target.numerics) == set(target.peak_madds)
