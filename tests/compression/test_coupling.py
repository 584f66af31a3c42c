"""What is coupled with what, what must stay and why, and what a request for the impossible says."""

import numpy as np
import pytest

from pocketcnn.compression.coupling import ChannelGroup, Coupling, channel_groups, couple, remove
from pocketcnn.compression.coupling.balance import balanced_units
from pocketcnn.compression.coupling.trace import Balance
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.numerics import ActivationFormat, Numerics
from tests.support.random_graphs import Sketch, depthwise_only, random_graph, squeeze_excite
from tests.support.removal import removal_error


def classifier(s: Sketch, x: str) -> Graph:
    return s.graph(s.linear(s.add("mean", x, axes=(1, 2), keepdim=False), 5))


def classes_of(coupling: Coupling, value: str) -> list[int]:
    return coupling.values[value].classes.tolist()


def layer_group(groups: tuple[ChannelGroup, ...], layer: str) -> ChannelGroup:
    (found,) = [group for group in groups if layer in group.width]
    return found


class TestClasses:
    def test_a_residual_add_couples_both_sides(self) -> None:
        s = Sketch(0)
        first = s.conv("input", 8)
        second = s.conv(first, 8)
        coupling = couple(classifier(s, s.add("add", first, second)))
        assert classes_of(coupling, first) == classes_of(coupling, second)
        assert len(set(classes_of(coupling, first))) == 8

    def test_a_depthwise_convolution_and_a_gate_follow_their_channels(self) -> None:
        s = Sketch(0)
        expanded = s.conv("input", 8)
        filtered = depthwise_only(s, expanded)
        gated = squeeze_excite(s, filtered)
        coupling = couple(classifier(s, gated))
        gate = s.nodes[-1].inputs[0]
        assert classes_of(coupling, expanded) == classes_of(coupling, filtered) == classes_of(coupling, gated)
        assert coupling.values[gated].axis == 0
        assert gate in {node.name for node in s.nodes}

    def test_a_depthwise_multiplier_couples_each_input_with_its_outputs(self) -> None:
        s = Sketch(0)
        x = s.conv("input", 4)
        doubled = s.conv(x, 8, kernel=3, groups=4)
        coupling = couple(classifier(s, doubled))
        assert classes_of(coupling, doubled) == np.repeat(classes_of(coupling, x), 2).tolist()

    def test_concat_slice_and_shuffle_move_classes_without_joining_any(self) -> None:
        s = Sketch(0)
        left, right = s.conv("input", 4), s.conv("input", 6)
        shuffled = s.add("channel_shuffle", s.add("concat", left, right, axis=0), groups=5)
        part = s.add("slice", shuffled, axis=0, start=3, stop=10, step=1)
        coupling = couple(classifier(s, part))
        joined = classes_of(coupling, left) + classes_of(coupling, right)
        assert len(set(joined)) == 10
        assert classes_of(coupling, shuffled) == [joined[i] for i in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]
        assert classes_of(coupling, part) == classes_of(coupling, shuffled)[3:]

    def test_flattened_channels_carry_their_class_to_every_feature(self) -> None:
        s = Sketch(0)
        x = s.conv("input", 4)
        flat = s.add("reshape", x, shape=(4 * 64,))
        coupling = couple(s.graph(s.linear(flat, 5)))
        assert classes_of(coupling, flat) == np.repeat(classes_of(coupling, x), 64).tolist()

    def test_the_result_does_not_depend_on_the_run(self) -> None:
        graph = random_graph(["shufflenet_v1", "dense", "inverted_residual"], 5)
        first, second = couple(graph), couple(graph)
        assert channel_groups(first) == channel_groups(second)
        assert first.frozen == second.frozen


class TestFrozen:
    def test_input_and_answer_stay_and_say_so(self) -> None:
        s = Sketch(0)
        coupling = couple(classifier(s, s.conv("input", 8)))
        assert sorted(set(coupling.frozen.values())) == ["it is the network's output", "it reads the network's input"]

    def test_an_operation_without_a_rule_freezes_what_it_reads(self) -> None:
        s = Sketch(0)
        x = s.conv("input", 8)
        coupling = couple(classifier(s, s.add("roll", x, shifts=(1,), axes=(0,))))
        assert coupling.removable().size == 0
        assert any("no rule for roll" in reason for reason in coupling.frozen.values())

    def test_channels_that_are_averaged_stay(self) -> None:
        s = Sketch(0)
        x, y = s.conv("input", 8), s.conv("input", 6)
        coupling = couple(classifier(s, s.add("mul", s.add("mean", x, axes=(0,), keepdim=True), y)))
        assert set(coupling.removable().tolist()) == set(classes_of(coupling, y))
        assert x not in coupling.values

    def test_a_kept_layer_offers_nothing(self) -> None:
        s = Sketch(0)
        first = s.conv("input", 8)
        second = s.conv(first, 6)
        coupling = couple(classifier(s, second))
        assert [dict(group.width) for group in channel_groups(coupling, keep=(first,))] == [{second: 1}]


class TestGroups:
    def test_wide_groups_lose_one_channel_each(self) -> None:
        s = Sketch(0)
        x = s.conv("input", 12)
        grouped = s.conv(x, 18, groups=3)
        groups = channel_groups(couple(classifier(s, grouped)))
        assert dict(layer_group(groups, x).width) == {x: 3}
        assert len(layer_group(groups, x).units) == 4
        assert dict(layer_group(groups, grouped).width) == {grouped: 3}
        assert len(layer_group(groups, grouped).units) == 6

    def test_many_narrow_groups_go_as_a_whole(self) -> None:
        s = Sketch(0)
        x = s.conv("input", 16)
        grouped = s.conv(x, 16, groups=8)
        graph = classifier(s, grouped)
        coupling = couple(graph)
        groups = channel_groups(coupling)
        assert [(dict(group.width), len(group.units)) for group in groups] == [({x: 2}, 8)]
        assert remove(graph, groups[0].units[3], coupling)[grouped].attrs["groups"] == 7

    @pytest.mark.parametrize(("groups", "hidden"), [(2, 50), (3, 60), (4, 68), (8, 96)])
    def test_all_channels_between_grouped_convolutions_find_partners(self, groups: int, hidden: int) -> None:
        """The bottlenecks of ShuffleNetV1's second stage: a shuffle stands between groups that it does not align with."""
        s = Sketch(0)
        trunk = s.conv("input", 4 * hidden)
        narrow = s.conv(trunk, hidden, groups=groups)
        shuffled = depthwise_only(s, s.add("channel_shuffle", narrow, groups=groups))
        graph = classifier(s, s.add("add", s.conv(shuffled, 4 * hidden, groups=groups), trunk))
        coupling = couple(graph)
        units = layer_group(channel_groups(coupling), narrow).units
        assert len(units) == hidden // groups
        assert all(len(unit) == groups for unit in units)
        assert removal_error(graph, sum(units[::2], ()), coupling) < 1e-10

    def test_unimportant_channels_are_brought_together(self) -> None:
        groups = np.arange(8).reshape(2, 4)
        assert balanced_units([7, 0, 6, 1, 5, 2, 4, 3], [Balance("g", groups)]) == [(0, 7), (1, 6), (2, 5), (3, 4)]

    def test_what_finds_no_partner_is_left_out(self) -> None:
        groups = np.array([[0, 1, 2], [3, 3, 4]])
        assert balanced_units([0, 1, 2, 3, 4], [Balance("g", groups)]) == [(0, 4), (1, 2, 3)]
        assert balanced_units([0, 1, 3], [Balance("g", groups)]) == [(0, 1, 3)]
        assert balanced_units([0, 1, 2], [Balance("g", groups)]) == []


class TestRefusals:
    @pytest.fixture
    def graph(self) -> Graph:
        s = Sketch(0)
        x = s.conv("input", 8)
        return classifier(s, s.conv(x, 8, groups=2))

    def test_a_frozen_class(self, graph: Graph) -> None:
        coupling = couple(graph)
        frozen = next(iter(coupling.frozen))
        with pytest.raises(UsageError, match=r"cannot be removed: it reads the network's input"):
            remove(graph, [frozen], coupling)

    def test_an_unknown_class(self, graph: Graph) -> None:
        with pytest.raises(UsageError, match="no layer produces it"):
            remove(graph, [10**6])

    def test_unequal_groups(self, graph: Graph) -> None:
        coupling = couple(graph)
        (grouped,) = [layer for layer in coupling.layers if layer.groups == 2]
        with pytest.raises(UsageError, match=r"groups of .* would have 3 or 4 inputs and 4 outputs each"):
            remove(graph, grouped.inputs[:1].tolist(), coupling)

    def test_a_layer_without_channels(self, graph: Graph) -> None:
        coupling = couple(graph)
        with pytest.raises(UsageError, match="would have no channels left"):
            remove(graph, coupling.layers[0].outputs.tolist(), coupling)

    def test_a_quantized_network(self, graph: Graph) -> None:
        formats = Numerics(activations={"input": ActivationFormat(scale=0.1, zero_point=3)})
        with pytest.raises(UsageError, match="quantized network cannot be pruned"):
            couple(graph.rebuilt(numerics=formats))


def test_names_survive_and_a_shuffle_that_is_none_any_more_becomes_a_gather() -> None:
    graph = random_graph(["shufflenet_v2"], 2)
    coupling = couple(graph)
    (shuffle,) = [node for node in graph.nodes if node.op == "channel_shuffle"]
    pruned = remove(graph, [classes_of(coupling, shuffle.name)[0]], coupling)
    assert [node.name for node in pruned.nodes] == [node.name for node in graph.nodes]
    assert pruned[shuffle.name].op == "gather"
    assert set(graph.tensors) <= set(pruned.tensors)


def test_nothing_removed_is_the_same_graph() -> None:
    graph = random_graph(["shufflenet_v1", "split_attention", "shift", "every_second"], 4)
    same = remove(graph, [])
    assert same.nodes == graph.nodes
    assert all(same.tensors[name] is tensor for name, tensor in graph.tensors.items())
