"""How much of each layer: the same everywhere, as it is said, or as it hurts."""

import pytest
import torch

from pocketcnn.compression.pruning.prune import PruneSettings, plan, prune, prune_with_report, sensitivity_of
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork
from tests.support.random_graphs import random_graph
from tests.support.small_digits import accuracy, trained_network, training_images

FREE = {"multiple": 1, "min_channels": 1, "floor": 0.0}


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return GraphNetwork(random_graph(("inverted_residual", "conv", "residual", "fire"), 4)).float()


class TestUniform:
    def test_every_layer_loses_about_the_same_share(self) -> None:
        network = trained_network()
        _, report = prune_with_report(network, macs=0.4, settings=PruneSettings(allocation="uniform", **FREE))
        kept = [after / before for before, after in report.channels.values() if before > 10 and before != after]
        assert len(kept) > 5
        assert max(kept) - min(kept) < 0.12

    def test_a_global_ranking_spares_the_layer_that_matters_most(self) -> None:
        network = GraphNetwork(trained_network().graph)
        layer = next(node for node in network.graph.nodes if node.op == "conv2d" and node.shape[0] == 24)
        (norm,) = network.graph.users(layer.name)
        with torch.no_grad():
            network.get_parameter(norm.tensors["weight"]).mul_(100)
        kept = {}
        for allocation in ("global", "uniform"):
            settings = PruneSettings(criterion="bn_scale", allocation=allocation, **FREE)
            kept[allocation] = prune(network, macs=0.6, settings=settings).graph[layer.name].shape[0]
        assert kept["global"] == 24
        assert kept["uniform"] < 20

    def test_an_unknown_allocation(self) -> None:
        with pytest.raises(UsageError, match="no allocation 'even'"):
            PruneSettings(allocation="even")


class TestGiven:
    def test_named_layers_lose_their_share_and_no_other(self) -> None:
        network = trained_network()
        expands = [node.name for node in network.graph.nodes if node.op == "conv2d" and node.shape[0] == 24]
        _, report = prune_with_report(
            network, ratios={expands[0]: 0.5, expands[2]: 0.25}, settings=PruneSettings(**FREE)
        )
        assert report.channels[expands[0]] == (24, 12)
        assert report.channels[expands[2]] == (24, 18)
        others = [widths for name, widths in report.channels.items() if name not in (expands[0], expands[2])]
        assert all(before == after for before, after in others)

    def test_layers_that_go_together_need_one_ratio(self) -> None:
        network = trained_network()
        trunk = [node.name for node in network.graph.nodes if node.op == "conv2d" and node.shape[0] == 16]
        with pytest.raises(UsageError, match="are coupled, so the layers need the same ratio"):
            prune(network, ratios={trunk[0]: 0.5, trunk[1]: 0.25})
        _, report = prune_with_report(network, ratios={trunk[0]: 0.5}, settings=PruneSettings(**FREE))
        assert {report.channels[name] for name in trunk} == {(16, 8)}

    @pytest.mark.parametrize(
        ("ratios", "message"),
        [
            ({"nowhere": 0.5}, "called 'nowhere'"),
            ({"LAST": 0.5}, "cannot be pruned"),
            ({"FIRST": 1.0}, r"is 1\.0; it must be"),
        ],
    )
    def test_mistakes(self, network: GraphNetwork, ratios: dict[str, float], message: str) -> None:
        layers = [node.name for node in network.graph.nodes if node.op in ("conv2d", "linear")]
        named = {"LAST": layers[-1], "FIRST": layers[0]}
        with pytest.raises(UsageError, match=message):
            prune(network, ratios={named.get(name, name): share for name, share in ratios.items()})

    def test_ratios_and_bounds_do_not_go_together(self, network: GraphNetwork) -> None:
        with pytest.raises(UsageError, match="either bounds or `ratios`"):
            prune(network, ratios={}, macs=0.5)


class TestSensitivity:
    def test_what_costs_nothing_goes_first_and_what_costs_most_last(self) -> None:
        """The accuracies of a made-up judge: only the widths of one layer matter to it."""
        network = trained_network()
        sensitive = next(node.name for node in network.graph.nodes if node.op == "conv2d" and node.shape[0] == 24)

        def judge(graph: Graph) -> float:
            return graph[sensitive].shape[0] / 24

        settings = PruneSettings(**FREE)
        found = sensitivity_of(network.graph, judge, settings)
        assert found.whole == 1
        assert found.curves[(sensitive,)] == tuple((share, 1 - share) for share in (0.125, 0.25, 0.5, 0.75, 0.875))
        pruned = prune(network, macs=0.5, settings=settings, evaluate=judge)
        assert pruned.graph[sensitive].shape[0] == 24
        assert total_madds(pruned.graph) <= 0.5 * total_madds(network.graph)

    def test_measured_curves_fall_and_meet_the_bound(self) -> None:
        network = trained_network()
        images, labels = training_images()
        settings = PruneSettings(criterion="energy", **FREE)
        batches = [(images[:256], labels[:256])]

        def judge(graph: Graph) -> float:
            return accuracy(GraphNetwork(graph))

        found = sensitivity_of(network.graph, judge, settings, batches=batches)
        assert all(points[-1][1] <= points[0][1] + 0.02 for points in found.curves.values())
        bound = 0.6 * total_madds(network.graph)
        chosen = plan(
            network.graph, lambda graph: total_madds(graph) <= bound, settings, batches=batches, sensitivity=found
        )
        assert 0.5 * bound < total_madds(chosen.apply(network.graph)) <= bound
