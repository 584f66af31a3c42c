"""The parity gate: figures that can be checked by hand, and the layer that is to blame."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.formats.onnx.writer import to_onnx, write_onnx
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Node, Numerics, WeightFormat, capture, for_inference
from pocketcnn.graph.ops import OPS
from pocketcnn.runtimes import divergence as divergence_module
from pocketcnn.runtimes import get_runtime, runtime_names
from pocketcnn.runtimes.intermediate_values import cut_after
from pocketcnn.runtimes.parity import parity

SHAPE = (3, 12, 12)
LAYERS = ("stem", "norm", "act", "deep", "gate", "last", "mean", "fc")


def module(seed: int = 0) -> nn.Module:
    """Convolutions with and without batch norm, and a classifier that has made up its mind."""
    torch.manual_seed(seed)
    network = nn.Sequential()
    parts = (
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Hardswish(),
        nn.Conv2d(8, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Flatten(), nn.Linear(6, 4)),
    )  # fmt: skip
    for name, part in zip(LAYERS, parts, strict=True):
        network.add_module(name, part)
    network.norm.running_mean.normal_(0, 0.2)
    network.norm.running_var.uniform_(0.5, 2)
    return network.eval()


def images(count: int = 20) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(5))


def float_network(seed: int = 0) -> GraphNetwork:
    return GraphNetwork(capture(module(seed), (1, *SHAPE))).eval()


def int8_network() -> GraphNetwork:
    graph = for_inference(float_network().graph)
    formats: dict[str, ActivationFormat] = {}

    def see(node: Node, value: Tensor) -> None:
        low, high = min(0.0, float(value.min())), float(value.max())
        scale = (high - low) / 255
        formats[node.name] = ActivationFormat(scale=scale, zero_point=round(-low / scale))

    with torch.no_grad():
        GraphNetwork(graph).eval().run(images(), see)
    del formats["stem"]  # fused with the activation after it
    names = [node.tensors["weight"] for node in graph.nodes if "weight" in node.tensors]
    scales = {f"{name}_scale": graph.tensors[name].abs().flatten(1).amax(1) / 127 for name in names}
    numerics = Numerics(activations=formats, weights={name: WeightFormat(scale=f"{name}_scale") for name in names})
    return GraphNetwork(graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics)).eval()


def exported(network: GraphNetwork) -> bytes:
    data: bytes = to_onnx(network.graph).SerializeToString()
    return data


@pytest.mark.parametrize("network", [float_network(), int8_network()], ids=["float32", "int8"])
def test_a_right_file_agrees_and_nothing_is_to_blame(network: GraphNetwork, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(path, network.graph)
    found = parity(network, path, images(), float_network=float_network(), search=True)
    assert (found.images, found.agreement, found.first_difference) == (20, 1.0, None)
    assert found.float_agreement is not None
    assert found.float_agreement >= 0.9
    assert found.worst_error < 1e-5
    assert parity(network, path.read_bytes(), images()).float_agreement is None


def test_the_figures_are_those_of_the_definition() -> None:
    one, other = float_network(0), float_network(1)
    with torch.no_grad():
        error, same = one(images()) - other(images()), one(images()).argmax(1) == other(images()).argmax(1)
    found = parity(one, exported(other), images(), float_network=other, search=False)
    assert found.agreement == pytest.approx(float(same.float().mean()))
    assert found.float_agreement == 1
    assert found.worst_error == pytest.approx(float(error.abs().max()), rel=1e-4)
    assert found.mean_error == pytest.approx(float(error.abs().mean()), rel=1e-4)
    assert found.first_difference is None


def test_more_images_than_a_batch_are_all_compared() -> None:
    network = float_network()
    found = parity(network, exported(network), images(150))
    assert (found.images, found.agreement) == (150, 1.0)


def test_the_network_stays_in_its_mode() -> None:
    network = float_network().train()
    parity(network, exported(network), images(3), search=True)
    assert network.training


def test_a_file_of_another_network_is_told_from_a_wrong_layer() -> None:
    for network in (float_network(), int8_network()):
        found = parity(network, exported(float_network(3)), images())
        assert found.first_difference == "the whole file: it was exported from another network"


class _Replacing:
    """An emitter that writes another operator in the place of one."""

    def __init__(self, emit, old: str, new: str) -> None:
        self._emit, self._old, self._new = emit, old, new

    def __getattr__(self, name: str):
        return getattr(self._emit, name)

    def op(self, op_type: str, *inputs: str, **attributes: object) -> str:
        return self._emit.op(self._new if op_type == self._old else op_type, *inputs, **attributes)


@pytest.mark.parametrize(
    ("op", "old", "new", "blamed"),
    [("hardswish", "HardSwish", "Relu", "gate"), ("mean", "GlobalAveragePool", "GlobalMaxPool", "mean")],
)
@pytest.mark.parametrize("quantized", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("at_once", [True, False], ids=["all values", "cut by cut"])
def test_the_first_wrong_layer_is_found(
    op: str,
    old: str,
    new: str,
    blamed: str,
    quantized: bool,
    runtime: str,
    at_once: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(divergence_module, "exposes_intermediate_values", lambda _: at_once)
    network = int8_network() if quantized else float_network()
    real = OPS[op]
    broken = replace(real, onnx=lambda node, emit: real.onnx(node, _Replacing(emit, old, new)))
    monkeypatch.setattr("pocketcnn.formats.onnx.writer.OPS", {**OPS, op: broken})
    data = to_onnx(network.graph, names="full").SerializeToString()
    assert parity(network, data, images(), runtime=runtime).first_difference == blamed


@pytest.mark.parametrize("name", [name for name in runtime_names() if name != "torch"])
@pytest.mark.parametrize("quantized", [False, True], ids=["float32", "int8"])
def test_a_right_file_is_right_cut_by_cut(
    name: str, quantized: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(divergence_module, "exposes_intermediate_values", lambda _: False)
    network, runtime = int8_network() if quantized else float_network(), get_runtime(name)
    path = runtime.write(network, tmp_path / f"model{runtime.suffix}")
    assert parity(network, path, images(8), runtime=name, search=True).first_difference is None


def test_a_file_of_another_network_is_told_by_cuts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence_module, "exposes_intermediate_values", lambda _: False)
    found = parity(float_network(), exported(float_network(3)), images())
    assert found.first_difference == "the whole file: it was exported from another network"


def test_a_network_that_cannot_be_cut_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self, network: GraphNetwork, path: Path) -> Path:
        raise PocketcnnError("no reshape here")

    monkeypatch.setattr(divergence_module, "exposes_intermediate_values", lambda _: False)
    monkeypatch.setattr("pocketcnn.runtimes.onnxruntime_runtime.OnnxRuntime.write", refuse)
    found = parity(float_network(), exported(float_network()), images(), search=True)
    assert found.first_difference is not None
    assert found.first_difference.endswith("no reshape here")


def test_a_network_is_cut_after_any_node() -> None:
    """The part gives, as one row, what the whole computes there."""
    whole = float_network()
    seen: dict[str, Tensor] = {}
    with torch.no_grad():
        whole.run(images(2), lambda node, value: seen.__setitem__(node.name, value))
        for node in whole.graph.nodes[1:]:
            part = GraphNetwork(cut_after(whole.graph, node.name)).eval()
            torch.testing.assert_close(part(images(2)), seen[node.name].flatten(1))


def test_a_folded_layer_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = float_network()

    def spoiled(graph: Graph) -> Graph:
        folded = for_inference(graph)
        return folded.rebuilt(tensors={**folded.tensors, "stem.bias": folded.tensors["stem.bias"] + 0.5})

    monkeypatch.setattr("pocketcnn.runtimes.intermediate_values.for_inference", spoiled)
    found = parity(network, exported(network), images(), search=True)
    assert found.first_difference == "folding of batch normalization"


def test_steps_apart_are_no_fault_where_they_only_add_up() -> None:
    """A deep integer network: roundings at ties add up along it, and yet every layer is right."""
    torch.manual_seed(0)
    layers = [part for _ in range(12) for part in (nn.Conv2d(8, 8, 3, padding=1), nn.Hardtanh(-3, 3))]
    graph = capture(nn.Sequential(nn.Conv2d(3, 8, 1), *layers, nn.AvgPool2d(2)).eval(), (1, *SHAPE))
    form = ActivationFormat(scale=0.011, zero_point=128)
    weights = {node.tensors["weight"]: WeightFormat(scale=f"{node.name}_s") for node in graph.nodes if node.tensors}
    scales = {f.scale: graph.tensors[name].abs().flatten(1).amax(1) / 127 for name, f in weights.items()}
    numerics = Numerics(activations={node.name: form for node in graph.nodes}, weights=weights)
    network = GraphNetwork(graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics)).eval()
    found = parity(network, exported(network), images(8), search=True)
    assert found.first_difference is None


def test_no_images_is_a_wrong_use() -> None:
    with pytest.raises(UsageError, match="at least one image"):
        parity(float_network(), exported(float_network()), images(0))


def test_a_file_with_other_classes_is_refused() -> None:
    other = GraphNetwork(capture(nn.Sequential(nn.Flatten(), nn.Linear(432, 7)).eval(), (1, *SHAPE)))
    with pytest.raises(PocketcnnError, match=r"shape \(20, 7\), the network's \(20, 4\)"):
        parity(float_network(), exported(other), images())
