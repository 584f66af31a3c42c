"""The profilers' operators are found again as layers of the graph."""

import pytest
import torch

import pocketcnn as pc
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.runtimes.layer_times import by_layer, layer_of, layer_times
from pocketcnn.runtimes.operator_times import OperatorTime
from pocketcnn.runtimes.profilers import profiled_runtimes


def graph_of(name: str, *, int8: bool = False) -> Graph:
    torch.manual_seed(0)
    graph = capture(pc.create(name, classes=10).eval(), (1, 3, 64, 64))
    return pc.quantize(GraphNetwork(graph), torch.randn(4, 3, 64, 64)).graph if int8 else graph


@pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("name", ["shufflenet_v2", "mobilenet_v3_small"])
@pytest.mark.parametrize("runtime", profiled_runtimes())
def test_every_layer_that_multiplies_has_a_time(runtime: str, name: str, int8: bool) -> None:
    times = layer_times(graph_of(name, int8=int8), runtime, runs=3)
    timed = {layer.name: layer for layer in times.layers}
    multiplying = [node.name for node in times.graph.nodes if node.op in ("conv2d", "linear")]
    assert set(multiplying) <= set(timed)
    assert all(timed[name].operators for name in multiplying)
    inside = {part for layer in times.layers for part in layer.fused}
    assert not inside & set(timed)  # what is computed inside a layer is not listed beside it
    assert times.seconds == pytest.approx(sum(layer.seconds for layer in times.layers))
    if name == "shufflenet_v2":
        assert {"channel_shuffle", "concat"} <= {layer.op for layer in times.layers}


def operator(name: str, *origins: str) -> OperatorTime:
    return OperatorTime.from_samples(name, "Conv", [1e-6], origins)


def test_operators_belong_to_the_layer_that_their_names_begin_with() -> None:
    graph = graph_of("mobilenet_v3_small")
    assert layer_of(graph, "features.stem.conv") == "features.stem.conv"
    assert layer_of(graph, "features.stem.conv/quantized") == "features.stem.conv"
    assert layer_of(graph, "features.stem.conv_token_71") == "features.stem.conv"
    assert layer_of(graph, "features.block1.squeeze_excite/mul#2") == "features.block1.squeeze_excite/mul"
    assert layer_of(graph, "features.stem") is None
    assert layer_of(graph, "HardSigmoid_657") is None


def test_an_operator_without_a_layer_counts_for_the_one_before() -> None:
    graph = graph_of("mobilenet_v3_small")
    act = operator("x", "features.stem.act_nchwc")
    (layer,) = by_layer(graph, [act, operator("Convert_493"), operator("Reorder", "no layer")])
    assert layer.name == "features.stem.conv"  # the activation is computed inside the convolution
    assert "features.stem.act" in layer.fused
    assert len(layer.operators) == 3


def test_a_runtime_without_a_profiler_is_named() -> None:
    with pytest.raises(
        UsageError, match=r"torch does not report the time of each layer\. Choose onnxruntime or openvino"
    ):
        layer_times(graph_of("mobilenet_v3_small"), "torch")
