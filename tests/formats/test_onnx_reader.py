"""Reading ONNX: what this library writes comes back as it was, what others write computes the same, the rest is refused."""

import random
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from torch import nn

import pocketcnn as pc
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.formats.onnx.reader import ReadError, graph_of, read_onnx
from pocketcnn.formats.onnx.writer import to_onnx, write_onnx
from pocketcnn.graph import OPS, Graph, GraphNetwork, capture, for_inference
from pocketcnn.vision import require_torchvision
from tests.support.onnx_support import one_operation, run, with_formats
from tests.support.op_cases import CASES, BenchmarkCase
from tests.support.small_networks import SHAPE, SmallNetwork, randomised

ZOO = ("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v1", "shufflenet_v2", "squeezenet1_1")


def images(shape: tuple[int, ...], count: int = 4) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def answers(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    return GraphNetwork(graph).eval()(x)


def drawn(data: st.DataObject, name: str) -> BenchmarkCase:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())
    return case


@pytest.mark.parametrize("name", sorted(set(OPS) - {"input", "constant"}))
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_every_operation_comes_back(name: str, data: st.DataObject) -> None:
    graph = one_operation(drawn(data, name))
    x = images(graph.input_shape)
    expected = answers(graph, x)
    assume(bool(expected.isfinite().all()))
    back = graph_of(to_onnx(graph, names=data.draw(st.sampled_from(["short", "full"]))))
    torch.testing.assert_close(answers(back, x), expected, atol=1e-4, rtol=1e-4)


def test_an_average_whose_last_window_ends_before_the_padding_comes_back() -> None:
    """One axis reaches beyond its padding, the other not even to the end of its input: rounding up must not add a window."""
    attrs = {"kernel": (2, 2), "stride": (2, 3), "padding": (0, 1), "ceil": True, "count_padding": True}
    graph = one_operation(BenchmarkCase("avg_pool", ((1, 3, 2),), attrs, {}))
    x = images(graph.input_shape)
    torch.testing.assert_close(answers(graph_of(to_onnx(graph)), x), answers(graph, x))


@pytest.mark.parametrize("name", sorted(set(OPS) - {"input", "constant", "div"}))
@given(data=st.data(), bits=st.sampled_from([8, 4]), signed=st.booleans())
@settings(max_examples=10, deadline=None)
def test_every_operation_on_integers_comes_back(name: str, data: st.DataObject, bits: int, signed: bool) -> None:
    graph = for_inference(one_operation(drawn(data, name)))
    x = images(graph.input_shape)
    assume(bool(answers(graph, x).isfinite().all()))
    quantized = with_formats(graph, x, bits, signed)
    step = quantized.numerics.activations[quantized.output].scale
    back = graph_of(to_onnx(quantized, names=data.draw(st.sampled_from(["short", "full"]))))
    assert (answers(back, x) - answers(quantized, x)).abs().max() <= 1.01 * step


@pytest.mark.parametrize("names", ["short", "full"])
@pytest.mark.parametrize("name", ZOO)
def test_a_network_comes_back(name: str, names: str, tmp_path: Path) -> None:
    network = randomised(pc.create(name, classes=7)).eval()
    graph = for_inference(capture(network, (1, 3, 64, 64)))
    write_onnx(tmp_path / "net.onnx", graph, names=names)  # type: ignore[arg-type]
    back = pc.read_onnx(tmp_path / "net.onnx")
    x = images(graph.input_shape)
    torch.testing.assert_close(answers(back, x), answers(graph, x), atol=1e-4, rtol=1e-4)
    assert pc.count(back).madds == pc.count(graph).madds


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2"])
def test_a_quantized_network_comes_back_with_its_integers(name: str, tmp_path: Path) -> None:
    network = randomised(pc.create(name, classes=7)).eval()
    x = images((3, 64, 64), 8)
    quantized = pc.quantize(GraphNetwork(capture(network, (1, 3, 64, 64))), x)
    write_onnx(tmp_path / "net.onnx", quantized.graph)
    back = read_onnx(tmp_path / "net.onnx")
    assert len(back.numerics.weights) == len(quantized.numerics.weights)
    assert pc.count(back).weight_bytes == pytest.approx(pc.count(quantized.graph).weight_bytes, rel=0.01)
    spread = answers(quantized.graph, x)
    assert (answers(back, x) - spread).abs().max() <= 0.02 * (spread.max() - spread.min())


def test_it_trains_and_is_saved_like_any_other_network(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx", capture(randomised(SmallNetwork()).eval(), (1, *SHAPE)))
    network = GraphNetwork(read_onnx(tmp_path / "net.onnx"))
    network(images(SHAPE)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    pc.save(tmp_path / "net.safetensors", network)
    torch.testing.assert_close(
        pc.load(tmp_path / "net.safetensors").eval()(images(SHAPE)), network.eval()(images(SHAPE))
    )


def exported(module: nn.Module, path: Path, *, dynamo: bool) -> Path:
    """What PyTorch's own exporters write; the older one warns of its age."""
    x = images((3, 64, 64), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            free = ({0: torch.export.Dim.DYNAMIC},)
            torch.onnx.export(module, (x,), path, dynamo=True, verbose=False, dynamic_shapes=free, external_data=False)
        else:
            torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
    return path


@pytest.mark.parametrize(
    ("name", "dynamo", "part", "recognised"),
    [
        ("shufflenet_v2_x0_5", False, "conv1/conv1_0/Conv", "channel_shuffle"),
        ("mobilenet_v3_small", True, "features.0.0", "hardswish"),
    ],
    ids=["torchscript", "dynamo"],
)
def test_files_of_pytorchs_exporters_are_read(
    name: str, dynamo: bool, part: str, recognised: str, tmp_path: Path
) -> None:
    module = randomised(getattr(require_torchvision("models"), name)()).eval()
    graph = read_onnx(exported(module, tmp_path / "net.onnx", dynamo=dynamo))
    x = images((3, 64, 64))
    with torch.no_grad():
        torch.testing.assert_close(answers(graph, x), module(x), atol=1e-4, rtol=1e-4)
    assert part in graph  # the paths of the modules are kept
    assert recognised in {node.op for node in graph.nodes}


def test_a_file_of_onnx_runtimes_own_quantizer_is_read(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"input": images(SHAPE, 1).numpy()} for _ in range(4)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    graph = capture(randomised(SmallNetwork()).eval(), (1, *SHAPE))
    write_onnx(tmp_path / "net.onnx", graph, names="full")
    quantize_static(
        tmp_path / "net.onnx", tmp_path / "int8.onnx", Images(), quant_format=QuantFormat.QDQ, per_channel=True
    )
    back = read_onnx(tmp_path / "int8.onnx")
    assert back.numerics.weights
    assert back.numerics.activations
    (expected,) = run(onnx.load(tmp_path / "int8.onnx"), images(SHAPE))
    assert (answers(back, images(SHAPE)) - expected).abs().max() <= 0.05 * (expected.max() - expected.min())


def model_of(
    *nodes: onnx.NodeProto,
    shape: tuple[object, ...] = ("n", 3, 8, 8),
    outputs: tuple[str, ...] = ("y",),
    rank: int = 4,
    **constants: object,
) -> onnx.ModelProto:
    initializers = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name in outputs],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize("how", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_padding_by_name_is_understood(how: str) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    model = model_of(
        helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=how, strides=[2, 2], kernel_shape=[3, 3]), w=weight
    )
    graph = graph_of(model)
    (expected,) = run(model, images((3, 8, 8)))
    torch.testing.assert_close(answers(graph, images((3, 8, 8))), expected, atol=1e-5, rtol=1e-5)


def test_a_product_and_a_sum_are_a_linear_layer() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((192, 5)).astype(np.float32), rng.standard_normal(5).astype(np.float32)
    nodes = (
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    )
    model = model_of(*nodes, rank=2, w=weight, b=bias)
    graph = graph_of(model)
    assert [node.op for node in graph.nodes] == ["input", "reshape", "linear"]
    (expected,) = run(model, images((3, 8, 8)))
    torch.testing.assert_close(answers(graph, images((3, 8, 8))), expected, atol=1e-4, rtol=1e-4)


REFUSED = {
    "an operator that the graph lacks": (model_of(helper.make_node("Det", ["x"], ["y"])), "'y' .Det.: .*not supported"),
    "an operator of one runtime": (
        model_of(helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")),
        "com.microsoft",
    ),
    "two outputs": (
        model_of(helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Tanh", ["x"], ["z"]), outputs=("y", "z")),
        "2 outputs",
    ),
    "a size that is not fixed": (model_of(helper.make_node("Relu", ["x"], ["y"]), shape=("n", 3, "h", "w")), "N, C, H, W"),
    "images that are mixed": (model_of(helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])), "batch axis"),
    "a batch that is written down": (
        model_of(helper.make_node("Reshape", ["x", "s"], ["y"]), s=np.array([1, 192], np.int64)),
        "batch is fixed",
    ),
    "an answer that does not depend on the image": (
        model_of(helper.make_node("Relu", ["w"], ["y"]), w=np.ones(3, np.float32)),
        "not depend",
    ),
    "a value that nobody makes": (model_of(helper.make_node("Relu", ["nothing"], ["y"])), "'nothing'"),
    "a memory bomb": (
        model_of(helper.make_node("ConstantOfShape", ["s"], ["y"]), s=np.array([10**6] * 3)),
        "would be too large",
    ),
    "a weight that does not fit": (
        model_of(helper.make_node("Conv", ["x", "w"], ["y"]), w=np.ones((4, 2, 3, 3), np.float32)),
        "does not fit 3 input channels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_named(case: str, tmp_path: Path) -> None:
    model, message = REFUSED[case]
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ReadError, match=message):
        read_onnx(tmp_path / "net.onnx")


def test_a_file_that_is_not_there_or_is_no_onnx(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        read_onnx(tmp_path / "net.onnx")
    for content in (b"", b"no model", bytes(1000)):
        (tmp_path / "net.onnx").write_bytes(content)
        with pytest.raises(ReadError, match="Cannot read"):
            read_onnx(tmp_path / "net.onnx")


def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    quantized = pc.quantize(GraphNetwork(capture(randomised(SmallNetwork()).eval(), (1, *SHAPE))), images(SHAPE))
    sound, generator = to_onnx(quantized.graph).SerializeToString(), random.Random(0)
    for _ in range(150):
        damaged = bytearray(sound)
        for _ in range(generator.randrange(1, 6)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        (tmp_path / "net.onnx").write_bytes(damaged[: generator.randrange(len(damaged) // 2, len(damaged) + 1)])
        try:
            read_onnx(tmp_path / "net.onnx")
        except PocketcnnError:
            continue


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("role", ["w", "b"])
def test_weights_that_are_not_finite_are_refused(role: str, value: float, tmp_path: Path) -> None:
    tensors = {"w": np.ones((2, 3, 1, 1), np.float32), "b": np.ones(2, np.float32)}
    tensors[role].flat[-1] = value
    path = tmp_path / "diverged.onnx"
    onnx.save(model_of(helper.make_node("Conv", ["x", "w", "b"], ["y"]), **tensors), path)
    with pytest.raises(ReadError, match="holds NaN or infinity"):
        read_onnx(path)


def test_a_file_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "padded.onnx"
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[2048] * 4)
    onnx.save(model_of(node, w=np.ones((2, 3, 1, 1), np.float32)), path)
    with pytest.raises(ReadError, match="too large for a network with so few weights"):
        read_onnx(path)
