import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.runtimes import Latency, Machine, SessionInfo, StopRule, get_runtime, this_machine
from pocketcnn.targets import Budget, Quantity, Target, latency_figure, load_target, measure
from pocketcnn.targets.measuring import example_batch

QUICK = StopRule(warmup_seconds=0.001, min_seconds=0.001, max_seconds=0.05)


def onnx_file(shape: list[int | str]) -> bytes:
    """Global mean of each channel."""
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_file_on_the_default_target(tmp_path):
    path = tmp_path / "mean.onnx"
    path.write_bytes(onnx_file(["N", 3, 6, 5]))
    latency = measure(path, rule=QUICK)
    assert latency.session.runtime == "onnxruntime"
    assert latency.session.threads == 1
    assert latency.shape == (1, 3, 6, 5)
    assert latency.machine == this_machine()
    assert 0 < latency.p10 <= latency.median <= latency.p90
    assert latency.interval[0] <= latency.median <= latency.interval[1]


@pytest.mark.parametrize(
    ("runtime", "threads"),
    [
        ("torch", 1),
        ("torch-cpu", 1),
        ("TORCH-cpu", 1),
        (load_target("torch-cpu"), 1),
        (Target(name="two", runtime="torch", threads=2), 2),
    ],
)
def test_a_module_on_torch(runtime, threads):
    before = torch.get_num_threads()
    latency = measure(NETWORK, runtime, shape=(2, 3, 8, 8), rule=QUICK)
    assert latency.session == SessionInfo("torch", torch.__version__, threads)
    assert latency.shape == (2, 3, 8, 8)
    assert torch.get_num_threads() == before


def test_a_target_from_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nruntime = "torch"\nthreads = 2\n')
    assert measure(NETWORK, path, shape=(1, 3, 8, 8), rule=QUICK).session.threads == 2


def test_threads_override_the_targets():
    assert measure(onnx_file(["N", 3, 4, 4]), threads=2, rule=QUICK).session.threads == 2


def test_a_captured_network_tells_its_own_shape():
    network = GraphNetwork(capture(NETWORK.eval(), (1, 3, 8, 8)))
    assert measure(network, "torch-cpu", rule=QUICK).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (NETWORK, {"runtime": "torch-cpu"}, r"does not declare its input size\. Pass shape="),
        (onnx_file(["N", 3, "H", "W"]), {}, "does not declare its input size"),
        (onnx_file(["N", 3, 4, 4]), {"shape": (1, 3, 5, 4)}, r"shape \('any', 3, 4, 4\), not \(1, 3, 5, 4\)"),
        (onnx_file(["N", 3, 4, 4]), {"shape": (3, 4, 4)}, r"must be \(N, C, H, W\)"),
        (onnx_file(["N", 3, 4, 4]), {"shape": (0, 3, 4, 4)}, "positive numbers"),
        (onnx_file(["N", 3, 4, 4]), {"threads": 0}, "threads must be at least 1, not 0"),
        (onnx_file(["N", 3, 4, 4]), {"runtime": "onnxruntime-gpu"}, "Did you mean onnxruntime-cpu"),
        (onnx_file(["N", 3, 4, 4]), {"runtime": "torch-cpu"}, r"takes a network \(torch\.nn\.Module\)"),
        (NETWORK, {}, r"takes an \.onnx file, not a Sequential\. Export the network first"),
        ("missing.onnx", {}, r"no file missing\.onnx"),
    ],
)
def test_wrong_use_is_told(network, options, message):
    with pytest.raises(UsageError, match=message):
        measure(network, rule=QUICK, **options)


def test_a_free_size_takes_the_given_shape():
    assert measure(onnx_file(["N", 3, "H", "W"]), shape=(2, 3, 9, 7), rule=QUICK).shape == (2, 3, 9, 7)


def test_a_latency_is_a_figure_that_a_budget_judges():
    latency = Latency(
        median=2e-3,
        p10=1.9e-3,
        p90=2.5e-3,
        interval=(1.98e-3, 2.02e-3),
        repeats=123,
        calls_per_repeat=1,
        warmup_calls=9,
        converged=False,
        shape=(1, 3, 8, 8),
        session=SessionInfo("onnxruntime", "1.23.0", 2),
        machine=Machine("A CPU", (), 2, "Linux 6", "x86_64"),
    )
    figure = latency_figure(latency)
    (verdict,) = Budget.parse("latency<=2.2ms").check({Quantity.LATENCY: figure})
    assert verdict.kept
    assert (figure.value, figure.low, figure.high) == (2e-3, 1.9e-3, 2.5e-3)
    assert figure.how == (
        "onnxruntime 1.23.0, 2 threads of A CPU: median of 123, 95 % interval 2.0% wide, "
        "which is wider than required: the time limit was reached"
    )


def test_random_images_are_the_same_each_time():
    session = get_runtime("onnxruntime").build(onnx_file(["N", 3, 40, 40]), threads=1)
    first, second = example_batch(session), example_batch(session)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert abs(first.mean()) < 0.1
    assert first.std() == pytest.approx(1, abs=0.1)
