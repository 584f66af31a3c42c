"""Pruning to a bound: kept, close, in the widths that were asked for, and the network lives on."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketcnn.compression.coupling import ChannelGroup, channel_groups, couple, mask
from pocketcnn.compression.pruning.prune import PruneSettings, plan, prune, prune_with_report
from pocketcnn.compression.pruning.schedule import schedule, step_of
from pocketcnn.cost.counting import parameters, total_madds
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.info import ModelInfo
from pocketcnn.graph.model_file import load, save
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.layers import ConvNormAct, InvertedResidual
from tests.support.random_graphs import random_graph
from tests.support.removal import images_for, largest_difference, outputs, randomise


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    """Five blocks of MobileNetV3's kind."""
    module = nn.Sequential(
        ConvNormAct(3, 24, stride=2),
        InvertedResidual(24, 32, expanded=64, stride=2),
        InvertedResidual(32, 32, expanded=96, squeeze=24),
        InvertedResidual(32, 48, expanded=96, activation="hardswish", squeeze=24),
        InvertedResidual(48, 48, expanded=128, activation="hardswish"),
        InvertedResidual(48, 48, expanded=128, activation="hardswish"),
        ConvNormAct(48, 160, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(160, 10),
    )
    return GraphNetwork(capture(randomise(module), (1, 3, 32, 32)), ModelInfo(name="small"))


def batch(network: GraphNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    return images_for(network.graph), torch.tensor([1, 7])


class TestBounds:
    @pytest.mark.parametrize("share", [0.8, 0.5, 0.2])
    def test_multiply_adds_come_just_below_the_bound(self, network: GraphNetwork, share: float) -> None:
        pruned = prune(network, macs=share)
        kept = total_madds(pruned.graph) / total_madds(network.graph)
        assert share - 0.03 < kept <= share

    def test_parameters_come_just_below_the_bound(self, network: GraphNetwork) -> None:
        _, report = prune_with_report(network, params=0.4)
        assert 0.37 < report.parameters_kept <= 0.4

    def test_both_bounds_hold_together(self, network: GraphNetwork) -> None:
        _, report = prune_with_report(network, params=0.5, macs=0.6)
        assert report.parameters_kept <= 0.5
        assert report.madds_kept <= 0.6

    def test_any_other_bound_will_do(self, network: GraphNetwork) -> None:
        """A file size, say: here the bytes of all tensors."""

        def size(graph: Graph) -> int:
            return sum(tensor.nbytes for tensor in graph.tensors.values())

        bound = size(network.graph) * 0.5
        found = plan(network.graph, lambda graph: size(graph) <= bound)
        assert 0.95 * bound < size(found.apply(network.graph)) <= bound

    def test_a_cost_that_rises_in_between_costs_no_more_channels(self, network: GraphNetwork) -> None:
        """A latency may: here everything from 62 down to 30 % of the multiply-adds takes twice its time."""
        whole = total_madds(network.graph)

        def seconds(graph: Graph) -> float:
            kept = total_madds(graph) / whole
            return 2 * kept if 0.3 < kept < 0.62 else kept

        found = plan(network.graph, lambda graph: seconds(graph) <= 0.7, by_shape=True)
        assert 0.62 <= total_madds(found.apply(network.graph)) / whole <= 0.7

    def test_the_narrowest_network_need_not_be_the_cheapest(self, network: GraphNetwork) -> None:
        """Here what is left of the last quarter takes its time twice."""
        whole = total_madds(network.graph)

        def seconds(graph: Graph) -> float:
            kept = total_madds(graph) / whole
            return 4 * kept if kept < 0.25 else kept

        found = plan(network.graph, lambda graph: seconds(graph) <= 0.3, by_shape=True)
        assert 0.25 <= total_madds(found.apply(network.graph)) / whole <= 0.3
        with pytest.raises(BudgetNotMet):
            plan(network.graph, lambda _: False, by_shape=True)

    def test_a_bound_that_already_holds_removes_nothing(self, network: GraphNetwork) -> None:
        pruned, report = prune_with_report(network, macs=1.0)
        assert report.madds_kept == 1
        x = images_for(network.graph)
        assert torch.equal(outputs(pruned.graph, x), outputs(network.graph, x))

    def test_out_of_reach_ends_with_the_closest_miss(self, network: GraphNetwork) -> None:
        with pytest.raises(BudgetNotMet, match=r"smallest network .* keeps \d+\.\d% of the multiply-adds"):
            prune(network, macs=0.01, settings=PruneSettings(floor=0.5))

    @pytest.mark.parametrize("bounds", [{}, {"macs": 0}, {"macs": 1.1}, {"params": -1}])
    def test_a_bound_that_makes_no_sense(self, network: GraphNetwork, bounds: dict[str, float]) -> None:
        with pytest.raises(UsageError):
            prune(network, **bounds)


class TestSettings:
    @pytest.mark.parametrize("multiple", [4, 8])
    def test_widths_are_multiples_or_untouched(self, network: GraphNetwork, multiple: int) -> None:
        _, report = prune_with_report(network, macs=0.4, settings=PruneSettings(multiple=multiple))
        changed = [after for before, after in report.channels.values() if after < before]
        assert len(changed) > 5
        assert all(after % multiple == 0 for after in changed)

    def test_no_layer_gets_narrower_than_the_floors(self, network: GraphNetwork) -> None:
        settings = PruneSettings(min_channels=6, floor=0.3, multiple=1)
        _, report = prune_with_report(network, macs=0.35, settings=settings)
        assert all(after >= max(min(6, before), 0.3 * before) for before, after in report.channels.values())

    def test_kept_layers_stay_as_they_are(self, network: GraphNetwork) -> None:
        layers = [node.name for node in network.graph.nodes if node.op == "conv2d"]
        keep = (layers[0], layers[4])
        _, report = prune_with_report(network, macs=0.5, settings=PruneSettings(keep=keep))
        assert all(report.channels[name][0] == report.channels[name][1] for name in keep)

    def test_an_unknown_layer_to_keep(self, network: GraphNetwork) -> None:
        with pytest.raises(UsageError, match="No convolution or linear layer is called 'nowhere'"):
            prune(network, macs=0.5, settings=PruneSettings(keep=("nowhere",)))

    @pytest.mark.parametrize("wrong", [{"multiple": 0}, {"floor": 2.0}, {"min_channels": 0}, {"criterion": "luck"}])
    def test_wrong_settings(self, wrong: dict[str, object]) -> None:
        with pytest.raises(UsageError):
            PruneSettings(**wrong)  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["magnitude", "bn_scale", "energy", "taylor", "random"])
    def test_every_criterion_meets_the_bound_in_the_same_way_each_time(self, network: GraphNetwork, name: str) -> None:
        settings = PruneSettings(criterion=name, seed=3)
        runs = [prune_with_report(network, macs=0.6, settings=settings, batches=[batch(network)])[1] for _ in range(2)]
        assert runs[0] == runs[1]
        assert runs[0].madds_kept <= 0.6


class TestResult:
    def test_it_computes_what_the_masked_network_computes(self, network: GraphNetwork) -> None:
        found = plan(network.graph, lambda graph: total_madds(graph) <= 0.5 * total_madds(network.graph), by_shape=True)
        masked = mask(network.graph, found.classes)
        images = images_for(masked)
        assert largest_difference(outputs(masked, images), outputs(found.apply(network.graph), images)) < 1e-5

    def test_names_mode_and_info_are_the_same_and_the_source_is_untouched(self, network: GraphNetwork) -> None:
        before = copy.deepcopy(network.state_dict())
        pruned = prune(network.train(), macs=0.5)
        assert pruned.training
        assert pruned.info == network.info
        assert pruned.state_dict().keys() == before.keys()
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
        with torch.no_grad():
            next(pruned.parameters()).zero_()
        assert next(network.parameters()).abs().sum() > 0

    def test_it_trains_on(self, network: GraphNetwork) -> None:
        pruned = prune(network, macs=0.5).train()
        images, labels = batch(network)
        optimizer = torch.optim.SGD(pruned.parameters(), lr=0.01)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(pruned(images), labels)
            loss.backward()
            assert all(parameter.grad is not None for parameter in pruned.parameters())
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]

    def test_it_comes_back_from_its_file(self, network: GraphNetwork, tmp_path: Path) -> None:
        shuffled = GraphNetwork(random_graph(["shufflenet_v2", "shufflenet_v1"], 3)).float()
        for source in (network, shuffled):
            pruned = prune(source, macs=0.6, settings=PruneSettings(multiple=1, min_channels=1))
            save(tmp_path / "pruned.safetensors", pruned)
            images = images_for(pruned.graph)
            assert torch.equal(
                outputs(load(tmp_path / "pruned.safetensors").graph, images), outputs(pruned.graph, images)
            )

    def test_it_is_pruned_again(self, network: GraphNetwork) -> None:
        twice = prune(prune(network, macs=0.7), macs=0.7)
        assert total_madds(twice.graph) <= 0.49 * total_madds(network.graph)

    def test_the_report_counts_what_is_there(self, network: GraphNetwork) -> None:
        pruned, report = prune_with_report(network, macs=0.5)
        assert report.parameters_after == parameters(pruned.graph) == sum(p.numel() for p in pruned.parameters())
        assert report.madds_before == total_madds(network.graph)
        for name, (before, after) in report.channels.items():
            assert network.graph[name].shape[0] == before
            assert pruned.graph[name].shape[0] == after


class TestSchedule:
    @pytest.mark.parametrize(
        ("units", "width", "multiple", "step"),
        [(64, 1, 8, 8), (16, 1, 8, 8), (12, 1, 8, 4), (8, 1, 8, 4), (3, 1, 8, 1), (1, 1, 8, 1), (20, 3, 8, 8), (9, 8, 8, 1),
         (10, 4, 8, 2), (7, 1, 6, 3), (100, 1, 1, 1)],
    )  # fmt: skip
    def test_steps(self, units: int, width: int, multiple: int, step: int) -> None:
        group = ChannelGroup({"layer": width}, tuple((unit,) for unit in range(units)))
        assert step_of(group, multiple) == step

    def test_more_removed_is_a_superset_and_keeps_whole_steps(self) -> None:
        graph = random_graph(["shufflenet_v1", "fire", "split_attention", "inverted_residual"], 8)
        coupling = couple(graph)
        scores = {item: float(item * 7 % 31) for item in coupling.removable().tolist()}
        groups = channel_groups(coupling, scores)
        order = schedule(coupling, groups, scores, multiple=4, min_channels=2, floor=0.1)
        previous: set[int] = set()
        for removed in range(len(order.order) + 1):
            counts = order.counts(removed)
            gone = set(order.classes(counts))
            assert previous <= gone
            previous = gone
            for group, step, lost in zip(groups, order.steps, counts, strict=True):
                assert lost == 0 or (len(group.units) - lost) % step == 0
        assert previous
