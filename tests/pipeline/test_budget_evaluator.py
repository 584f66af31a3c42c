"""Every strategy with every storage option: the budget is judged by the files as they will be deployed.

Trainings are stood in for by nothing at all, and accuracies by what comes out of it: they have no say in sizes.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketcnn.compression.coding import ClusterSettings, cluster_weights
from pocketcnn.compression.coding.sparsity import sparsify
from pocketcnn.compression.deployed import Deployed
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.pruning.short_fine_tuning import ShortFineTuner
from pocketcnn.compression.quantization import quantize
from pocketcnn.data import infer_contract, scan
from pocketcnn.graph import Graph, GraphNetwork, ModelInfo, capture
from pocketcnn.graph.model_file import file_bytes, smallest_coding
from pocketcnn.layers import ConvNormAct, InvertedResidual
from pocketcnn.pipeline.compress.shrink import CompressionRun, shrink
from pocketcnn.pipeline.compress.strategies import STRATEGIES, pruner_of
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.effort import Effort
from pocketcnn.pipeline.recipes import RECIPE, Splits, TrainingRecipes, datasets
from pocketcnn.pipeline.workspace import Workspace, quiet
from pocketcnn.targets import Budget, Limit

LITTLE = Effort(
    candidates=1,
    rounds=(1,),
    final_steps=1,
    recovery_steps=1,
    quantized_steps=1,
    short_steps=1,
    episodes=4,
    min_epochs=1,
)
STORAGE = {
    "plain": CompressionMethod(),
    "code": CompressionMethod(entropy_code=True),
    "zeros": CompressionMethod(sparsity="67%"),
    "pattern": CompressionMethod(sparsity="2:4"),
    "clustered": CompressionMethod(cluster_bits=4),
    "zeros, shared": CompressionMethod(sparsity="67%", cluster_bits=3),
}
KEPT = 0.75
"""The bound, as a share of the coded file of the whole network: so that channels must go, and few enough to be quick."""

CLOSE = 0.03
"""Ranges that are calibrated, and biases that are told anew, are other numbers of the same kind, with other bytes."""


@dataclass(frozen=True)
class Judged:
    """What the evaluator found: the size of a graph's file in a precision, and the share that it is of the bound."""

    graph: Graph
    precision: str
    value: float
    share: float


@pytest.fixture(scope="module")
def network(digits: Path) -> GraphNetwork:
    folder = scan(digits)
    contract = infer_contract(folder)
    torch.manual_seed(0)
    blocks = [ConvNormAct(1, 16), InvertedResidual(16, 16, expanded=48), ConvNormAct(16, 32, stride=2)]
    module = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3)).eval()
    for norm in module.modules():  # as after a training; zeros and ones are coded in no bytes at all
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                tensor.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    info = ModelInfo(name="small", input=contract, classes=folder.classes)
    return GraphNetwork(capture(module, (1, *contract.shape)), info)


@pytest.fixture(scope="module")
def sets(digits: Path) -> Splits:
    folder = scan(digits)
    return datasets(folder, infer_contract(folder), RECIPE.augmentation)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Judged]:
    """All that the evaluator is asked while a test runs; nothing is trained meanwhile."""
    found: list[Judged] = []
    original = BudgetEvaluator._value

    def value(self: BudgetEvaluator, limit: Limit, deployed: Deployed) -> float:
        size = original(self, limit, deployed)
        found.append(Judged(deployed.source, deployed.precision, size, size / limit.bound))
        return size

    monkeypatch.setattr(BudgetEvaluator, "_value", value)
    monkeypatch.setattr(Workspace, "train", lambda *_, **__: None)
    monkeypatch.setattr(ShortFineTuner, "tune", lambda self, network, step: self.score(network))
    return found


def file_size(graph: Graph) -> int:
    return len(file_bytes(graph, ModelInfo(), smallest_coding()))


def by_hand(graph: Graph, precision: str, method: CompressionMethod, images: torch.Tensor) -> int:
    """The bytes of the coded file of a float graph after all stages, made by the public functions, step by step."""
    network = GraphNetwork(graph)
    if method.sparsity is not None:
        network = sparsify(network, method.sparsity)
    if method.cluster_bits is not None:
        network = cluster_weights(network, ClusterSettings(bits=method.cluster_bits))
    if precision == "int8":
        network = quantize(network, images)
    return file_size(network.graph)


def bench_for(
    method: CompressionMethod, strategy: str, network: GraphNetwork, sets: Splits, tmp_path: Path
) -> CompressionRun:
    """A bench whose budget is a share of the coded file that the whole network would have, in the precision that is used."""
    precision = "float32" if method.cluster_bits else "int8"
    whole = by_hand(network.graph, precision, method, sets.calibration())
    budget = Budget.parse(f"stored<={KEPT * whole:.0f}B")
    workspace = Workspace.of(tmp_path, {"test": "sizes"}, quiet)
    trainings = TrainingRecipes(LITTLE, len(sets.train), 0, RECIPE)
    pruner = pruner_of(strategy, tmp_path)
    return CompressionRun(sets, budget, trainings, workspace, lambda _: None, "digits", method=method, pruner=pruner)


@pytest.mark.parametrize("option", STORAGE)
def test_every_step_of_every_strategy_is_judged_by_the_file_as_it_will_be_deployed(
    network: GraphNetwork, sets: Splits, tmp_path: Path, judged: list[Judged], option: str
) -> None:
    method, shares = STORAGE[option], {}
    for strategy in STRATEGIES:
        bench = bench_for(method, strategy, network, sets, tmp_path / strategy)
        judged.clear()
        shrunk = shrink(network, bench)
        assert shrunk.within_reach
        check_sizes(judged, method, sets.calibration(), bench.budget.limits[0].bound)
        left = [each for each in judged if each.graph is judged[-1].graph]  # in the precisions that were looked at
        last = min(left, key=lambda each: each.share)
        assert last.share <= 1
        assert file_size(shrunk.network.graph) == pytest.approx(last.value, rel=CLOSE)
        shares[strategy] = {each.precision: each.share for each in judged if is_whole(each.graph, network.graph)}
    assert len(shares) >= 3
    assert all(found == shares["rank"] for found in shares.values())
    assert min(shares["rank"].values()) == pytest.approx(1 / KEPT, rel=CLOSE)


def check_sizes(judged: list[Judged], method: CompressionMethod, images: torch.Tensor, bound: float) -> None:
    """Some of the sizes of a run beside those of files made by hand: the first, the last, and some between them."""
    assert {each.precision for each in judged} == ({"float32"} if method.cluster_bits else {"float32", "int8"})
    for each in [*judged[:2], *judged[len(judged) // 2 :: max(1, len(judged) // 4)], *judged[-2:]]:
        expected = by_hand(each.graph, each.precision, method, images)
        assert each.value == pytest.approx(expected, rel=CLOSE)
        assert each.share == pytest.approx(expected / bound, rel=CLOSE)


def is_whole(graph: Graph, whole: Graph) -> bool:
    """Whether nothing was cut: the strategies make copies of the network."""
    return [node.shape for node in graph.nodes] == [node.shape for node in whole.nodes]
