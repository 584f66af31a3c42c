"""No route calls a network a success that has lost its accuracy: the step is trained longer, and what is lost is said."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketcnn.cli.outcome import conclude
from pocketcnn.cli.output import Output
from pocketcnn.compression.coding.sparsity import weight_names
from pocketcnn.compression.quantization import quantize
from pocketcnn.data import infer_contract, scan
from pocketcnn.graph import GraphNetwork, ModelInfo, capture
from pocketcnn.graph.model_file import load
from pocketcnn.layers import ConvNormAct
from pocketcnn.pipeline.compress import shrink, strategies
from pocketcnn.pipeline.compress.adapt import adapt_to_target
from pocketcnn.pipeline.compress.compress import compress
from pocketcnn.pipeline.compress.strategies import STRATEGIES
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.compression_run import recover
from pocketcnn.pipeline.fit.fit import fit
from pocketcnn.pipeline.recipes import datasets
from pocketcnn.pipeline.search.once_for_all import once_for_all
from pocketcnn.pipeline.search.search import search
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.records.result import FitResult
from pocketcnn.targets import load_target
from pocketcnn.training import Recipe, evaluate, train
from tests.support.once_for_all import EFFORT, PLAN
from tests.support.pipeline import LITTLE, TINY

FACTOR = 40.0


@pytest.fixture(scope="module")
def parent(digits: Path) -> GraphNetwork:
    """Trained on the digits. One channel of its depthwise layer is 40 times as large as it need be, which changes no answer."""
    folder = scan(digits, seed=0)
    contract = infer_contract(folder)
    torch.manual_seed(0)
    module = nn.Sequential(
        ConvNormAct(1, 16),
        ConvNormAct(16, 16, groups=16),
        ConvNormAct(16, 24, 1, stride=2),
        ConvNormAct(24, 32, stride=2, activation="hardswish"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 3),
    )
    sets = datasets(folder, contract)
    train(module, sets.train, sets.val, Recipe(epochs=12, batch_size=16))
    with torch.no_grad():
        norm = next(m for m in module[1].modules() if isinstance(m, nn.BatchNorm2d))
        norm.weight[0] *= FACTOR
        norm.bias[0] *= FACTOR
        next(m for m in module[2].modules() if isinstance(m, nn.Conv2d)).weight[:, 0] /= FACTOR
    network = GraphNetwork(
        capture(module.eval(), (1, *contract.shape)), ModelInfo(name="small", input=contract, classes=folder.classes)
    )
    assert evaluate(network, sets.val).top1 > 0.95
    return network


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings that bring nothing; the names of their stages."""
    names: list[str] = []

    def nothing(self: Workspace, stage: str, *_rest: object, **_options: object) -> None:
        names.append(stage)

    monkeypatch.setattr(Workspace, "train", nothing)
    return names


def check_said(result: FitResult, out: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """The budget is met, and that is not all that is said: in the result, in its file, on the page, in the terminal."""
    assert result.met
    warnings = " ".join(result.warnings)
    assert all(word in warnings for word in words), warnings
    assert json.loads((out / "result.json").read_text())["warnings"] == list(result.warnings)
    page = (out / "report.html").read_text()
    reasons = ("accuracy was lost", "the file is not clearly better than always answering the most frequent class")
    assert any(f"Budget met, but {reason}" in page for reason in reasons)
    assert all(warning in page for warning in result.warnings)
    for as_json in (False, True):
        capsys.readouterr()
        conclude(Output(as_json), result, out)
        shown = capsys.readouterr()
        text = " ".join((shown.err if as_json else shown.out).split())
        assert all(f"WARNING: {warning}" in text for warning in result.warnings)


@pytest.mark.parametrize(
    ("method", "budget", "step"),
    [
        (CompressionMethod(sparsity="97%"), "macs<=100%", "sparse"),
        (CompressionMethod(cluster_bits=1), "macs<=100%", "clustered"),
        (CompressionMethod(sparsity="60%", cluster_bits=1, entropy_code=True), "stored<=6kB", "clustered"),
        (CompressionMethod(resolution=(2, 2)), "macs<=100%", "restructured"),
    ],
)
def test_every_step_that_ruins_a_network_is_tried_again_and_said(
    parent: GraphNetwork,
    digits: Path,
    tmp_path: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
    method: CompressionMethod,
    budget: str,
    step: str,
) -> None:
    result = compress(parent, digits, budget, tmp_path, effort=LITTLE, method=method)
    check_said(result, tmp_path, capsys, f"The step “{step}” cost ", "points of the validation accuracy")
    assert any(name.startswith(step) and name.endswith("longer") for name in trained)


@pytest.mark.parametrize("criterion", ["energy", "random"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pruning_that_ruins_a_network_by_every_strategy(
    parent: GraphNetwork,
    digits: Path,
    tmp_path: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    criterion: str,
) -> None:
    """What was pruned has weights that are all zero, and no training brings them back."""

    def recover_zeros(name: str, network: GraphNetwork, *rest: object) -> None:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        recover(name, network, *rest)  # type: ignore[arg-type]

    for module in (shrink, strategies):
        monkeypatch.setattr(module, "recover", recover_zeros)
    method = CompressionMethod(criterion=criterion, stages=1 if strategy == "rank" else None)
    result = compress(parent, digits, "macs<=60%", tmp_path, effort=LITTLE, method=method, strategy=strategy)
    check_said(result, tmp_path, capsys, "near chance", "The step “pruned” cost ", "in more stages (--stages)")
    assert trained == ["pruned", "pruned, longer"]


def test_integers_that_ruin_a_network(
    parent: GraphNetwork,
    digits: Path,
    tmp_path: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ruined(network: GraphNetwork, images: torch.Tensor) -> GraphNetwork:
        tensors = {name: tensor.clone() for name, tensor in network.graph.tensors.items()}
        for name in weight_names(network.graph):
            tensors[name] = tensors[name].abs() + 0.1
        return quantize(GraphNetwork(network.graph.rebuilt(tensors=tensors), network.info), images)

    monkeypatch.setattr(shrink, "quantize", ruined)
    result = compress(parent, digits, "size<=16kB", tmp_path, effort=LITTLE)
    assert result.artefact.numerics == "int8"
    check_said(result, tmp_path, capsys, "The step “quantized” cost ", "--effort")
    assert trained == ["quantized, fine-tuned", "quantized, fine-tuned longer"]


def fitted(digits: Path, out: Path) -> Sequence[FitResult]:
    return [fit(digits, "macs<=2M", out, effort=LITTLE, networks=("mobilenet_v1",))]


def searched(digits: Path, out: Path) -> Sequence[FitResult]:
    result = search(digits, "macs<=100M", out, space="mobilenet", strategy="random", width=0.1, trials=1, effort=LITTLE)
    assert set(result.fit.warnings) <= set(result.search.warnings)
    return [result.fit]


def from_one_training(digits: Path, out: Path) -> Sequence[FitResult]:
    return once_for_all(digits, "macs<=150k", out, effort=EFFORT, plan=PLAN).results


@pytest.mark.parametrize("route", [fitted, searched, from_one_training])
def test_every_route_says_that_its_network_guesses(
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    route: Callable[[Path, Path], Sequence[FitResult]],
) -> None:
    """Trainings end with weights that are all zero: every image gets the same answer."""
    original = Workspace.train

    def train_to_nothing(self: Workspace, stage: str, network: nn.Module, *rest: object, **options: object) -> object:
        result = original(self, stage, network, *rest, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        return result

    monkeypatch.setattr(Workspace, "train", train_to_nothing)
    for result in route(digits, tmp_path):
        check_said(result, tmp_path, capsys, "The accuracy is near chance", "Do not deploy it")


def test_a_network_made_over_that_has_lost_its_accuracy(
    parent: GraphNetwork, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def train_to_nothing(self: Workspace, stage: str, network: nn.Module, *_rest: object) -> None:
        names.append(stage)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()

    said: list[str] = []
    monkeypatch.setattr(Workspace, "train", train_to_nothing)
    made = adapt_to_target(parent, load_target("dsp-npu"), tmp_path / "a.safetensors", digits, say=said.append)
    assert names == ["recovered", "recovered, longer"]
    assert "The accuracy is near chance" in made.warnings[0]
    assert "The substitution cost " in made.warnings[1]
    assert [f"WARNING: {warning}" for warning in made.warnings] == [line for line in said if "WARNING" in line]
    untrained = adapt_to_target(parent, load_target("dsp-npu"), tmp_path / "b.safetensors")
    assert "its accuracy is unknown" in untrained.warnings[0]


def test_nothing_lost_nothing_said(parent: GraphNetwork, digits: Path, tmp_path: Path, trained: list[str]) -> None:
    result = compress(parent, digits, "macs<=100%", tmp_path, effort=LITTLE, method=CompressionMethod(sparsity="5%"))
    assert result.warnings == ()
    assert trained == ["sparse"]
    assert "Budget met, but" not in (tmp_path / "report.html").read_text()
    bold = compress(
        parent, digits, "macs<=100%", tmp_path, effort=LITTLE, method=CompressionMethod(sparsity="97%", max_loss=1.0)
    )
    assert not any("cost" in warning for warning in bold.warnings)


def test_zeros_and_shared_values_cost_a_trained_network_next_to_nothing(
    parent: GraphNetwork, digits: Path, tmp_path: Path
) -> None:
    """For real: 67 % zeros and 16 values a layer, with the largest weight of one layer far from the others."""
    method = CompressionMethod(sparsity="67%", cluster_bits=4)
    result = compress(parent, digits, "macs<=100%", tmp_path, effort=TINY, method=method)
    assert result.warnings == ()
    assert result.stages[-1].validation.top1 > result.stages[0].validation.top1 - 0.06
    network = load(tmp_path / "model.safetensors")
    depthwise = network.graph.tensors[weight_names(network.graph)[1]]
    assert len(depthwise[depthwise != 0].unique()) == 16
