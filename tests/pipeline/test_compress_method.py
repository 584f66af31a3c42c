"""What `compress` does beside pruning by one ranking: stages, other structures, zeros; recorded, recovered and resumable."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from torch import nn

from pocketcnn.compression.coding.sparsity import zero_share
from pocketcnn.cost import count
from pocketcnn.data import infer_contract, scan
from pocketcnn.errors import Interrupted, UsageError
from pocketcnn.graph import GraphNetwork, ModelInfo, capture
from pocketcnn.graph.model_file import load
from pocketcnn.layers import ConvNormAct, InvertedResidual
from pocketcnn.models import create
from pocketcnn.pipeline import compression_run
from pocketcnn.pipeline.compress import pruning as narrowing
from pocketcnn.pipeline.compress.compress import compress
from pocketcnn.pipeline.compress.pruning import table_latency
from pocketcnn.pipeline.compress.shrink import stage_name
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.records.result import Accuracy
from pocketcnn.targets import Budget
from pocketcnn.training import drawn_from
from tests.support.pipeline import LITTLE


@pytest.fixture
def network(digits: Path) -> GraphNetwork:
    """Untrained: what is tested is what happens to it."""
    with drawn_from(0):
        module = nn.Sequential(
            ConvNormAct(1, 16),
            InvertedResidual(16, 16, expanded=36, kernel=5),
            InvertedResidual(16, 16, expanded=36, kernel=5),
            ConvNormAct(16, 48, stride=2),
            ConvNormAct(48, 60),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(60, 3),
        )
    return described(module, digits)


def described(module: nn.Module, digits: Path) -> GraphNetwork:
    """The module for the folder's images, at 16x16 pixels."""
    folder = scan(digits, seed=0)
    contract = infer_contract(folder, size=(16, 16))
    info = ModelInfo(name="small", input=contract, classes=folder.classes)
    return GraphNetwork(capture(module, (1, *contract.shape)), info)


def names(path: Path) -> list[str]:
    return [stage.name for stage in load(path / "model.safetensors").info.lineage]


def test_names_of_stages() -> None:
    assert [stage_name(stage, 2) for stage in (1, 2)] == ["pruned halfway", "pruned"]
    assert [stage_name(stage, 4) for stage in (1, 2, 4)] == ["pruned, stage 1 of 4", "pruned halfway", "pruned"]


def test_stages_leave_equal_shares_and_one_that_was_stopped_is_taken_up(
    network: GraphNetwork, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last stage of three is stopped; the same call ends with the very network of an undisturbed one."""
    stopped: list[str] = []
    original = Workspace.train

    def train(self: Workspace, stage: str, *rest: object, structure: str) -> object:
        if stage == "pruned" and not stopped:
            stopped.append(stage)
            raise Interrupted("Ctrl-C")
        return original(self, stage, *rest, structure=structure)  # type: ignore[arg-type]

    method = CompressionMethod(stages=3, criterion="taylor")
    monkeypatch.setattr(Workspace, "train", train)
    with pytest.raises(Interrupted):
        compress(network, digits, "macs<=40%", tmp_path / "cut", effort=LITTLE, method=method)
    compress(network, digits, "macs<=40%", tmp_path / "cut", effort=LITTLE, method=method)
    monkeypatch.undo()
    result = compress(network, digits, "macs<=40%", tmp_path / "whole", effort=LITTLE, method=method)
    cut, whole = (load(tmp_path / name / "model.safetensors").state_dict() for name in ("cut", "whole"))
    assert all((cut[name] == whole[name]).all() for name in whole)
    assert not (tmp_path / "cut" / "work").exists()
    assert result.met
    assert names(tmp_path / "whole") == ["given", "pruned, stage 1 of 3", "pruned, stage 2 of 3", "pruned"]
    madds = [stage.madds for stage in result.stages]
    kept = [after / before for before, after in pairwise(madds)]
    assert all(0.4 ** (1 / 3) - 0.12 < share < 0.4 ** (1 / 3) + 0.12 for share in kept)


def test_smaller_images_smaller_kernels_fewer_blocks(network: GraphNetwork, digits: Path, tmp_path: Path) -> None:
    method = CompressionMethod(resolution=(12, 12), small_kernels=True, blocks=1)
    result = compress(network, digits, "macs<=20%", tmp_path, effort=LITTLE, method=method)
    smaller = load(tmp_path / "model.safetensors")
    assert result.met
    assert names(tmp_path)[:2] == ["given", "restructured"]
    assert smaller.graph.input_shape == (1, 12, 12)
    assert result.input.height == 12
    assert all(
        smaller.graph.tensors[node.tensors["weight"]].shape[-1] < 5
        for node in smaller.graph.nodes
        if node.op == "conv2d"
    )
    settings = load(tmp_path / "model.safetensors").info.lineage[1].settings
    assert settings["resolution"] == [12, 12]
    assert len(settings["kernels"]) == 2
    assert len(settings["blocks"]) == 1
    assert result.stages[-1].madds <= 0.2 * count(network.graph).madds


def test_zeros_stay_through_recovery(network: GraphNetwork, digits: Path, tmp_path: Path) -> None:
    result = compress(network, digits, "macs<=70%", tmp_path, effort=LITTLE, method=CompressionMethod(sparsity="80%"))
    assert names(tmp_path) == ["given", "pruned", "sparse"]
    assert result.met
    assert zero_share(load(tmp_path / "model.safetensors").graph) == pytest.approx(0.8, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("sparsity", "least"), [("2:4", 0.35), ("80%", 0.75)])
def test_zeros_stay_through_quantization(digits: Path, tmp_path: Path, sparsity: str, least: float) -> None:
    with drawn_from(0):
        module = create("mobilenet_v3_small", width=0.25, classes=3, in_channels=1, total_stride=8, head_width=32)
    network = described(module, digits)
    result = compress(
        network, digits, "size<=70kB", tmp_path, effort=LITTLE, method=CompressionMethod(sparsity=sparsity)
    )
    assert "sparse" in names(tmp_path)
    assert result.artefact.numerics == "int8"
    assert zero_share(load(tmp_path / "model.safetensors").graph) > least


def test_widths_come_from_the_latency_table_of_the_target(
    network: GraphNetwork, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that says that output channels are computed in tiles of 12."""

    def seconds(graph: object) -> float:
        return sum(
            -(-node.shape[0] // 12) * graph.tensors[node.tensors["weight"]][0].numel() * 1e-7  # type: ignore[attr-defined]
            for node in graph.nodes  # type: ignore[attr-defined]
            if node.op == "conv2d"
        )

    monkeypatch.setattr(narrowing, "table_latency_of", lambda name: seconds)
    said: list[str] = []
    budget = "macs<=50%, latency<=1s@onnxruntime-cpu"
    compress(network, digits, budget, tmp_path, effort=LITTLE, say=said.append)
    assert "Channel counts are taken from the latency table of onnxruntime-cpu" in said
    pruned = load(tmp_path / "model.safetensors").graph
    last = [node.shape[0] for node in pruned.nodes if node.op == "conv2d"][-1]
    assert last in (12, 24, 36, 48)  # only its own tiles count there: what reads it is no convolution


def test_without_a_table_the_targets_constant_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert table_latency(Budget.parse("latency<=1ms@onnxruntime-cpu")) is None
    assert table_latency(Budget.parse("latency<=1ms@cortex-m7, macs<=50%")) is None
    assert table_latency(Budget.parse("macs<=50%")) is None


@pytest.mark.parametrize("worse", [True, False])
def test_fine_tuning_that_makes_it_worse_is_undone(
    network: GraphNetwork, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worse: bool
) -> None:
    """A training that leaves nothing but zeros, and accuracies by which that is worse, or better."""

    def is_zero(network: nn.Module) -> bool:
        return all(not parameter.any() for parameter in network.parameters())

    def train(self: Workspace, stage: str, module: nn.Module, *rest: object, structure: str) -> None:
        for parameter in module.parameters():
            parameter.data.zero_()

    def accuracy(network: nn.Module, split: object) -> Accuracy:
        top1 = 0.5 if is_zero(network) == worse else 0.9
        return Accuracy(top1=top1, low=0.0, high=1.0, images=10)

    monkeypatch.setattr(Workspace, "train", train)
    monkeypatch.setattr(compression_run, "accuracy", accuracy)
    result = compress(network, digits, "macs<=60%", tmp_path, effort=LITTLE, method=CompressionMethod(stages=1))
    pruned = next(stage for stage in result.stages if stage.name == "pruned")
    assert ("fine-tuning gave 50.0% and was undone" in pruned.note) == worse
    assert is_zero(load(tmp_path / "model.safetensors")) != worse


@pytest.mark.parametrize("allocation", ["sensitive", "best"])
def test_allocations_that_are_measured(network: GraphNetwork, digits: Path, tmp_path: Path, allocation: str) -> None:
    said: list[str] = []
    method = CompressionMethod(allocation=allocation, stages=1)
    result = compress(network, digits, "macs<=50%", tmp_path, effort=LITTLE, method=method, say=said.append)
    recorded = load(tmp_path / "model.safetensors").info.lineage[1].settings["allocation"]
    assert result.met
    if allocation == "sensitive":
        assert recorded == "sensitive"
    else:
        told = next(line for line in said if line.startswith("Allocation of the pruning: "))
        losses = {name: float(loss) for name, loss in re.findall(r"(global|uniform|sensitive) (\d\.\d+) \(", told)}
        assert len(losses) == 3
        assert losses[recorded] == min(losses.values())


@pytest.mark.parametrize(
    "wrong", [{"stages": 0}, {"blocks": -1}, {"criterion": "luck"}, {"allocation": "even"}, {"sparsity": "all"}]
)
def test_wrong_methods(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        CompressionMethod(**wrong)  # type: ignore[arg-type]
