"""Pruning to a budget as it is written: every quantity, absolute and in percent."""

import pytest

from pocketcnn.compression.pruning.bounds import bounds_of
from pocketcnn.compression.pruning.prune import PruneSettings, prune, prune_with_report
from pocketcnn.cost import count
from pocketcnn.cost.counting import parameters, total_madds
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, for_inference
from pocketcnn.targets import Budget, load_target
from pocketcnn.targets.estimate import estimate
from tests.support.random_graphs import random_graph

BLOCKS = ("inverted_residual", "fire", "residual", "inverted_residual")
FREE = PruneSettings(multiple=1, min_channels=1, floor=0.0)


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return GraphNetwork(random_graph(BLOCKS, 21)).float()


def figures(network: GraphNetwork) -> dict[str, float]:
    deployed = for_inference(network.graph)
    return {
        "macs": total_madds(network.graph),
        "params": count(deployed).params,
        "ram": count(deployed).peak_activation_bytes,
        "size": len(to_onnx(deployed).SerializeToString()),
        "latency": estimate(network.graph, load_target("cortex-a53")).seconds,
    }


@pytest.mark.parametrize(
    ("budget", "quantity", "share"),
    [("macs<=60%", "macs", 0.6), ("params<=70%", "params", 0.7), ("ram<=80%", "ram", 0.8), ("size<=90%", "size", 0.9),
     ("latency<=70%@cortex-a53", "latency", 0.7)],
)  # fmt: skip
def test_every_quantity_is_kept(network: GraphNetwork, budget: str, quantity: str, share: float) -> None:
    pruned = prune(network, budget=budget, settings=FREE)
    kept = figures(pruned)[quantity] / figures(network)[quantity]
    assert share - 0.2 < kept <= share


def test_absolute_and_several_limits(network: GraphNetwork) -> None:
    madds, params = 0.7 * figures(network)["macs"], 0.6 * figures(network)["params"]
    budget = Budget.parse(f"macs<={madds:.0f}, params<={params:.0f}")
    found = figures(prune(network, budget=budget, settings=FREE))
    assert found["macs"] <= madds
    assert found["params"] <= params


def test_a_budget_and_a_share_hold_together(network: GraphNetwork) -> None:
    pruned, report = prune_with_report(network, budget="macs<=80%", params=0.6, settings=FREE)
    assert report.madds_kept <= 0.8
    assert parameters(pruned.graph) <= 0.6 * parameters(network.graph)


def test_what_cannot_be_kept_says_so(network: GraphNetwork) -> None:
    with pytest.raises(BudgetNotMet, match="smallest network"):
        prune(network, budget="macs<=1%")


def test_a_latency_here_needs_its_table(
    network: GraphNetwork, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    with pytest.raises(UsageError, match="pocketcnn target profile onnxruntime-cpu"):
        prune(network, budget="latency<=50%@onnxruntime-cpu")


@pytest.mark.parametrize("budget", ["macs", "macs<=half", ""])
def test_what_is_no_budget_is_explained(network: GraphNetwork, budget: str) -> None:
    with pytest.raises(UsageError, match="budget"):
        prune(network, budget=budget)


def test_only_a_size_asks_for_values(network: GraphNetwork) -> None:
    assert bounds_of(network.graph, "macs<=50%, ram<=1MB").by_shape
    assert not bounds_of(network.graph, "macs<=50%, size<=1MB").by_shape
