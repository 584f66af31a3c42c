import numpy as np
import pytest
import torch
from torch import nn

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.graph.model_file import load
from pocketcnn.runtimes.torch_runtime import TorchRuntime

RUNTIME = TorchRuntime()
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6, 5),
    )


@pytest.fixture(autouse=True)
def _threads_are_left_alone():
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


def test_runs_in_eval_mode_and_leaves_the_network_in_training():
    source = network().train()
    scores = RUNTIME.build(source, threads=1).run(IMAGES)
    assert source.training
    assert all(parameter.requires_grad for parameter in source.parameters())
    with torch.no_grad():
        np.testing.assert_allclose(scores, source.eval()(torch.from_numpy(IMAGES)).numpy(), atol=1e-6)


def test_later_changes_to_the_network_do_not_reach_the_session():
    source = network()
    session = RUNTIME.build(source, threads=1)
    before = session.run(IMAGES)
    with torch.no_grad():
        source[0].weight.zero_()
    np.testing.assert_array_equal(session.run(IMAGES), before)


class Spy(nn.Module):
    """Reports the thread count under which it ran."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x), 1), float(torch.get_num_threads()))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_thread_count_holds_while_running_and_is_put_back(threads):
    before = torch.get_num_threads()
    session = RUNTIME.build(Spy(), threads=threads)
    assert session.run(IMAGES)[0, 0] == threads
    assert torch.get_num_threads() == before
    with session.active():
        assert torch.get_num_threads() == threads
        assert session.run(IMAGES)[0, 0] == threads
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == before


def test_the_thread_count_is_put_back_after_a_failure():
    session = RUNTIME.build(network(), threads=torch.get_num_threads() + 1)
    with pytest.raises(PocketcnnError, match=r"cannot run on a batch of shape \(2, 4, 8, 8\)"):
        session.run(np.zeros((2, 4, 8, 8), np.float32))


def test_a_graph_network_tells_its_input_shape():
    graph = GraphNetwork(capture(network().eval(), (1, 3, 8, 8)))
    session = RUNTIME.build(graph, threads=1)
    assert session.input_shape == (None, 3, 8, 8)
    np.testing.assert_allclose(session.run(IMAGES), RUNTIME.build(network(), threads=1).run(IMAGES), atol=1e-5)
    assert RUNTIME.build(network(), threads=1).input_shape is None


def test_read_only_batches_run():
    batch = IMAGES.copy()
    batch.flags.writeable = False
    assert RUNTIME.build(network(), threads=1).run(batch).shape == (2, 5)


class TwoHeads(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def test_a_network_with_two_outputs_is_refused():
    with pytest.raises(PocketcnnError, match="returns a tuple; it must return one tensor"):
        RUNTIME.build(TwoHeads(), threads=1).run(IMAGES)


def test_a_file_is_not_for_torch():
    with pytest.raises(
        UsageError, match=r"takes a network \(torch\.nn\.Module\) or a model file \(\.safetensors\), not net\.onnx"
    ):
        RUNTIME.build("net.onnx", threads=1)


def test_a_closed_session_says_so():
    session = RUNTIME.build(network(), threads=1)
    session.close()
    session.close()
    with pytest.raises(PocketcnnError, match="closed"):
        session.run(IMAGES)


def test_a_model_file_is_written_folded_and_run(tmp_path):
    graph = capture(network().eval(), IMAGES.shape)
    path = RUNTIME.write(GraphNetwork(graph), tmp_path / "net.safetensors")
    with torch.no_grad():
        expected = network().eval()(torch.from_numpy(IMAGES)).numpy()
    np.testing.assert_allclose(RUNTIME.build(path, threads=1).run(IMAGES), expected, atol=1e-5)
    assert not any("running_mean" in name for name in load(path).graph.tensors)
