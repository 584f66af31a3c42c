"""Ways to narrow a network: steps, costs, and the fewest channels that meet a bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.compression.pruning.bounds import Measure
from pocketcnn.compression.pruning.prune import PruneSettings
from pocketcnn.compression.pruning.resource import MADDS, Resource, share_of_budget
from pocketcnn.compression.pruning.space import PruningSpace, with_count
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork
from tests.support.automatic import CHANNELS, small_network, small_space
from tests.support.random_graphs import BLOCKS, random_graph


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return small_network()


def test_choices_leave_whole_steps_and_the_floor(network: GraphNetwork) -> None:
    space = small_space(network.graph)
    assert len(space.prunable) == 3  # the stem with the residual sum, the expansion, the last convolution
    for group in space.prunable:
        choices = space.choices[group]
        assert choices[0] == 0
        assert choices[-1] == space.max_counts[group]
        assert all((space.units(group) - lost) % 4 == 0 and space.units(group) - lost >= 4 for lost in choices[1:])


def test_the_floor_is_a_share_of_what_a_layer_once_had(network: GraphNetwork) -> None:
    first = PruningSpace.of(network.graph, MADDS, PruneSettings(multiple=1, min_channels=1, floor=0.5))
    group = first.prunable[0]
    narrowed = first.prune(with_count(first.no_pruning, group, first.max_counts[group]))
    widths = {node.name: node.shape[0] for node in network.graph.nodes if node.op in ("conv2d", "linear")}
    again = PruningSpace.of(narrowed, MADDS, PruneSettings(multiple=1, min_channels=1, floor=0.5), widths=widths)
    assert again.max_counts[group] == 0
    assert PruningSpace.of(narrowed, MADDS, PruneSettings(multiple=1, min_channels=1, floor=0.5)).max_counts[group] > 0


def test_the_use_of_counts_is_that_of_the_graph_cut_by_them(network: GraphNetwork) -> None:
    asked = []

    def use(graph: object) -> float:
        asked.append(graph)
        return float(total_madds(graph))  # type: ignore[arg-type]

    space = small_space(network.graph, Resource("counted", use))
    assert space.use(space.max_counts) == total_madds(space.prune(space.max_counts)) < space.use(space.no_pruning)
    before = len(asked)
    space.use(space.max_counts)
    assert len(asked) == before
    assert all(tensor.is_meta for tensor in asked[0].tensors.values() if tensor.is_floating_point())  # type: ignore[attr-defined]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0.3, 0.95),
    kinds=st.lists(
        st.sampled_from(["shufflenet_v2", "inverted_residual", "fire", "shufflenet_v1"]), min_size=1, max_size=2
    ),
)
def test_the_fewest_units_meet_the_bound_and_one_step_less_does_not(seed: int, share: float, kinds: list[str]) -> None:
    space = PruningSpace.of(random_graph(kinds, seed), MADDS, PruneSettings(multiple=2, min_channels=2))
    bound = share * space.use(space.no_pruning)
    for group in space.prunable:
        fewest = space.min_count(group, space.no_pruning, bound)
        if fewest is None:
            assert space.use(with_count(space.no_pruning, group, space.max_counts[group])) > bound
            continue
        assert space.use(with_count(space.no_pruning, group, fewest)) <= bound
        less = [choice for choice in space.choices[group] if choice < fewest]
        if less:
            assert space.use(with_count(space.no_pruning, group, less[-1])) > bound


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4),
    seed=st.integers(0, 10_000),
    share=st.floats(0, 1),
)
def test_multiply_adds_are_known_without_making_the_graph(kinds: list[str], seed: int, share: float) -> None:
    space = PruningSpace.of(random_graph(kinds, seed), MADDS, PruneSettings(multiple=1, min_channels=1))
    counts = tuple(space.nearest_count(group, share * space.units(group)) for group in range(len(space.max_counts)))
    narrowed = space.prune(counts)
    by_name = dict(zip(space.layer_names, space.madds(counts).tolist(), strict=True))
    assert by_name == {name: narrowed.madds(narrowed[name]) for name in by_name}
    assert space.use(counts) == total_madds(narrowed)


def in_blocks(graph: Graph) -> float:
    """Seconds of a made-up runtime that computes blocks of 8 channels, and needs half as long again for what is left over."""
    channels = [node.shape[0] for node in graph.nodes if node.op == "conv2d"]
    return float(sum(count // 8 + (1.5 if count % 8 else 0) for count in channels))


def predicted(use: Measure = in_blocks) -> Resource:
    return Resource("latency", use, seconds=in_blocks)


def test_widths_that_save_no_time_are_no_choice(network: GraphNetwork) -> None:
    space = small_space(network.graph, predicted())
    assert space.prunable
    for group in space.prunable:
        uses = [space.use(with_count(space.no_pruning, group, choice)) for choice in space.choices[group]]
        assert uses == sorted(set(uses), reverse=True)
        every = small_space(network.graph).choices[group]
        assert min(space.use(with_count(space.no_pruning, group, choice)) for choice in every) == uses[-1]
        assert all((space.units(group) - choice) % 8 == 0 for choice in space.choices[group])
    assert space.use(space.max_counts) < space.use(space.limits)  # the narrowest network is not the fastest


def test_the_fewest_units_for_a_latency_are_the_first_that_keep_it(network: GraphNetwork) -> None:
    space = small_space(network.graph, predicted())
    whole = space.use(space.no_pruning)
    for group in space.prunable:
        for bound in (whole - 0.5, whole - 1, whole - 2, whole - 4):
            every = small_space(network.graph).choices[group]
            first = next(
                (lost for lost in every if space.use(with_count(space.no_pruning, group, lost)) <= bound), None
            )
            assert space.min_count(group, space.no_pruning, bound) == first


def test_a_group_that_saves_no_time_can_save_something_else(network: GraphNetwork) -> None:
    steps = small_space(network.graph).choices
    nothing = Resource("latency", lambda _: 1.0)
    for use, choices in ((nothing.use, ((0,),) * len(steps)), (lambda graph: float(total_madds(graph)), steps)):
        assert small_space(network.graph, Resource("share", use, seconds=nothing.use)).choices == choices


def test_a_budget_is_one_share_that_is_kept_at_1(network: GraphNetwork) -> None:
    resource = share_of_budget(network.graph, "macs<=50%, params<=80%")
    assert resource.use(network.graph) == pytest.approx(2.0)
    assert resource.by_shape
    assert not share_of_budget(network.graph, "size<=50%").by_shape


def test_a_latency_on_a_device_that_is_not_here_is_estimated(network: GraphNetwork) -> None:
    resource = share_of_budget(network.graph, "latency<=1ms@cortex-a53")
    space = PruningSpace.of(network.graph, resource, CHANNELS)
    assert 0 < space.use(space.max_counts) < space.use(space.no_pruning)


def test_a_latency_here_wants_a_table(network: GraphNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="pocketcnn target profile onnxruntime-cpu"):
        share_of_budget(network.graph, "latency<=1ms@onnxruntime-cpu")
