"""The file itself: what tools and kernels expect of it, what it weighs, and that it needs nothing of this library."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from pocketcnn.errors import MissingExtra
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.formats.tflite import to_tflite, write_tflite
from pocketcnn.formats.tflite.flatbuffer import schema as schema_module
from pocketcnn.formats.tflite.values import Quantization, Value
from pocketcnn.formats.tflite.versions import operator_version
from pocketcnn.formats.tflite.windows import windows
from pocketcnn.graph import Graph, Node, capture
from tests.support.onnx_support import with_formats
from tests.support.small_networks import SHAPE, float_network, images
from tests.support.tflite import interpreter, model, operators, run, simulated

FORMS = ("float32", "int8")


def small(form: str) -> Graph:
    graph = float_network().graph
    return graph if form == "float32" else with_formats(graph, images(16))


@pytest.mark.parametrize("form", FORMS)
def test_input_and_output_are_float_with_channels_last_and_a_free_batch(form: str) -> None:
    ready = interpreter(to_tflite(small(form)), (1, 16, 16, 3))
    (image,), (scores,) = ready.get_input_details(), ready.get_output_details()
    assert (image["name"], image["dtype"], list(image["shape_signature"])) == ("input", np.float32, [-1, 16, 16, 3])
    assert (scores["dtype"], list(scores["shape_signature"])) == (np.float32, [-1, 5])
    assert ready.get_signature_list() == {"serving_default": {"inputs": ["input"], "outputs": ["output"]}}


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_gives_what_its_images_give_alone(form: str) -> None:
    data, x = to_tflite(small(form)), images(5)
    together = run(data, x)
    alone = torch.cat([run(data, image[None]) for image in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_constants_lie_where_kernels_can_read_them(form: str) -> None:
    """At multiples of 16 bytes."""
    data = to_tflite(small(form))
    buffers = schema.Model.GetRootAs(data, 0)
    starts = [
        buffers.Buffers(i)._tab.Vector(buffers.Buffers(i)._tab.Offset(4)) for i in range(1, buffers.BuffersLength())
    ]
    assert starts
    assert all(start % 16 == 0 for start in starts)
    assert data[4:8] == b"TFL3"


def test_the_same_network_is_the_same_file() -> None:
    assert to_tflite(small("int8")) == to_tflite(small("int8"))


@pytest.mark.parametrize(("form", "more"), [("float32", 1.05), ("int8", 1.05)])
def test_a_file_weighs_little_more_than_onnx(form: str, more: float) -> None:
    torch.manual_seed(0)
    layers = [part for _ in range(3) for part in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())]
    graph = capture(nn.Sequential(nn.Conv2d(3, 64, 3), *layers).eval(), (1, *SHAPE))
    graph = graph if form == "float32" else with_formats(graph, images(4))
    assert len(to_tflite(graph)) < more * to_onnx(graph).ByteSize()


def test_equal_constants_are_stored_once() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 16, 3, padding=1)
    once, twice = (capture(nn.Sequential(*[layer] * count).eval(), (1, 16, 8, 8)) for count in (1, 2))
    assert len(to_tflite(twice)) < len(to_tflite(once)) + 600


def test_metadata_are_in_the_file() -> None:
    read = model(to_tflite(small("float32"), metadata={"classes": "cat, dog"}))
    stored = {entry.name.decode(): bytes(read.buffers[entry.buffer].data).decode() for entry in read.metadata}
    assert stored == {"layout": "NHWC", "classes": "cat, dog"}


def test_an_activation_is_part_of_the_operator_before_it() -> None:
    torch.manual_seed(0)
    acts = (nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-1, 1))
    layers = [part for act in acts for part in (nn.Conv2d(3, 3, 1), act)]
    graph = capture(nn.Sequential(*layers).eval(), (1, *SHAPE))
    for form in (graph, with_formats(graph, images(8))):
        assert set(operators(to_tflite(form))) <= {"CONV_2D", "QUANTIZE", "DEQUANTIZE"}


def test_an_answer_before_an_activation_stays_apart() -> None:
    torch.manual_seed(0)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            result: torch.Tensor = y + torch.relu(y)
            return result

    graph = capture(Two().eval(), (1, *SHAPE))
    torch.testing.assert_close(run(to_tflite(graph), images(2)), simulated(graph, images(2)), atol=1e-5, rtol=1e-5)


def test_padding_schemes_pad_as_much_as_the_layer() -> None:
    """SAME as TensorFlow defines it, checked against its formula for every small window."""
    for size, kernel, stride, padding, dilation in product(range(1, 9), range(1, 5), range(1, 4), range(3), (1, 2)):
        reach = dilation * (kernel - 1) + 1
        length = (size + 2 * padding - reach) // stride + 1
        if length < 1 or size + 2 * padding < reach:
            continue
        attrs = {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (dilation,) * 2}
        found = windows(Node("n", "conv2d", ("x",), (1, length, length), attrs), (1, size, size), (kernel, kernel))
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        if found.scheme == "SAME":
            assert (-(-size // stride), total // 2) == (length, padding)
        elif found.scheme == "VALID":
            assert (size - reach) // stride + 1 == length
            assert padding == 0
        else:
            padded = size + found.before[0] + found.after[0]
            assert (padded - reach) // stride + 1 == length


def value(*shape: int, scales: tuple[float, ...] = ()) -> Value:
    return Value(0, shape, Quantization(scales) if scales else None)


@pytest.mark.parametrize(
    ("builtin", "inputs", "options", "version"),
    [
        ("CONV_2D", [value(1, 4, 4, 8), value(2, 1, 1, 8)], {}, 1),
        ("CONV_2D", [value(1, 4, 4, 8), value(2, 1, 1, 4)], {}, 6),
        ("CONV_2D", [value(1, 4, 4, 8, scales=(0.1,)), value(2, 1, 1, 8, scales=(0.1, 0.2))], {}, 3),
        ("DEPTHWISE_CONV_2D", [value(1, 4, 4, 8), value(1, 3, 3, 8)], {"dilationHFactor": 2}, 2),
        ("FULLY_CONNECTED", [value(1, 8, scales=(0.1,)), value(2, 8, scales=(0.1,))], {}, 4),
        ("DEQUANTIZE", [value(2, 8, scales=(0.1,))], {}, 2),
        ("DEQUANTIZE", [value(2, 8, scales=(0.1, 0.2))], {}, 5),
        ("TRANSPOSE", [value(1, 2, 3, 4, 5)], {}, 4),
        ("MUL", [value(1, 8, scales=(1.0,)), value(1, 8, scales=(1.0,))], {}, 3),
        ("MUL", [value(1, 8, scales=(0.1,)), value(1, 8, scales=(0.1,))], {}, 2),
    ],
)
def test_an_operator_has_the_version_that_has_its_use(builtin, inputs, options, version) -> None:
    assert operator_version(builtin, inputs, value(1, 8, scales=(0.5,)), options) == version


CLEAN = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
ready = Interpreter(model_path=sys.argv[1])
ready.allocate_tensors()
image = np.load(sys.argv[2])
ready.set_tensor(ready.get_input_details()[0]["index"], image.transpose(0, 2, 3, 1))
ready.invoke()
answer = ready.get_tensor(ready.get_output_details()[0]["index"])
print(json.dumps([answer.tolist(), sorted({"torch", "pocketcnn"} & set(sys.modules))]))
"""


@pytest.mark.parametrize("form", FORMS)
def test_a_file_runs_where_there_is_only_litert_and_numpy(form: str, tmp_path: Path) -> None:
    graph, x = small(form), images(1)
    write_tflite(tmp_path / "model.tflite", graph)
    np.save(tmp_path / "image.npy", x.numpy())
    command = [sys.executable, "-I", "-c", CLEAN, str(tmp_path / "model.tflite"), str(tmp_path / "image.npy")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer, loaded = json.loads(printed)
    assert loaded == []
    np.testing.assert_allclose(answer, simulated(graph, x), atol=1e-5 if form == "float32" else 0.05)


def test_without_the_schema_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    schema_module.cache_clear()
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[litert\]'"):
        to_tflite(small("float32"))
    schema_module.cache_clear()
