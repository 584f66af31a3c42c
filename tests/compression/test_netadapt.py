"""NetAdapt: the loop of algorithm 1, on a tuner whose answers are known and on real images."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from pocketcnn.compression.pruning.netadapt import NetAdaptResult, NetAdaptSettings, netadapt, settings_of_rule
from pocketcnn.compression.pruning.resource import MADDS
from pocketcnn.compression.pruning.short_fine_tuning import HeldOutImages, ShortFineTuner
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.training import Recipe, train
from pocketcnn.training.evaluate import Score
from tests.support.automatic import CHANNELS, SHORT, digits, small_network, small_space

SETTINGS = NetAdaptSettings(step=0.1, channels=CHANNELS)
Width = Callable[[GraphNetwork], float]


class Widths:
    """A tuner that trains nothing: its accuracy depends on the widths of the layers alone."""

    def __init__(self, worth: dict[int, float]) -> None:
        self.worth = worth  # by place of the convolution in the network, of each of its channels
        self.tuned = 0

    def score(self, network: GraphNetwork) -> Score:
        layers = [node for node in network.graph.nodes if node.op == "conv2d"]
        return Score(0.5, sum(worth * layers[place].shape[0] for place, worth in self.worth.items()), 100)

    def tune(self, network: GraphNetwork, step: int) -> Score:  # noqa: ARG002
        self.tuned += 1
        return self.score(network)


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return small_network()


def adapt(
    network: GraphNetwork, share: float, tuner: Widths, settings: NetAdaptSettings = SETTINGS, **options: object
) -> NetAdaptResult:
    return netadapt(network, MADDS, share * total_madds(network.graph), tuner, settings, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.9, 0.5, 0.25])
def test_the_bound_is_kept_and_weights_are_those_of_the_given_network(network: GraphNetwork, share: float) -> None:
    found = adapt(network, share, Widths({0: 1e-3}))
    assert found.met
    assert total_madds(found.network.graph) <= share * total_madds(network.graph)
    assert found.network.state_dict().keys() == network.state_dict().keys()


def test_every_proposal_meets_its_step_and_the_most_accurate_is_kept(network: GraphNetwork) -> None:
    found = adapt(network, 0.4, Widths({0: 1e-2, 4: 1e-3}))
    whole = use = total_madds(network.graph)
    for number, step in enumerate(found.steps, 1):
        assert step.number == number
        assert step.target >= min(use, max(0.4 * whole, use - 0.1 * 0.96 ** (number - 1) * whole)) * (1 - 1e-6)
        assert all(proposal.resource <= step.target for proposal in step.proposals)
        assert len({proposal.group for proposal in step.proposals}) == len(step.proposals)
        assert step.best.accuracy == max(proposal.accuracy for proposal in step.proposals)
        use = step.best.resource
    assert use == total_madds(found.network.graph)


def test_what_is_worth_nothing_goes_first(network: GraphNetwork) -> None:
    """The channels of the first convolution are worth much, those of the expansion nothing."""
    found = adapt(network, 0.8, Widths({0: 1.0}))
    layers = [node.name for node in network.graph.nodes if node.op == "conv2d"]
    assert found.network.graph[layers[0]].shape == network.graph[layers[0]].shape
    assert found.network.graph[layers[1]].shape[0] < network.graph[layers[1]].shape[0]


def test_an_expansion_is_a_proposal_and_so_is_a_bottleneck_with_all_that_it_is_added_to(network: GraphNetwork) -> None:
    step = adapt(network, 0.95, Widths({0: 1.0})).steps[0]
    sizes = sorted(len(proposal.layers) for proposal in step.proposals)
    assert sizes == [1, 1, 2]  # expansion; last convolution; stem and projection, tied by the residual sum


def test_by_ratio_a_cheap_loss_beats_a_smaller_one(network: GraphNetwork) -> None:
    """MobileNetV3's rule: what counts is the accuracy lost for each multiply-add saved."""
    tuner = Widths({0: 2e-3, 1: 1.1e-3, 4: 1e-3})
    chosen = {}
    for choose in ("accuracy", "ratio"):
        settings = NetAdaptSettings(step=0.02, choose=choose, channels=CHANNELS)  # type: ignore[arg-type]
        step = adapt(network, 0.97, tuner, settings).steps[0]
        before = tuner.score(network).top1
        whole = total_madds(network.graph)
        ratios = [(proposal.accuracy - before) / (whole - proposal.resource) for proposal in step.proposals]
        chosen[choose] = step
        if choose == "ratio":
            assert ratios[step.chosen] == max(ratios)
        else:
            assert step.best.accuracy == max(proposal.accuracy for proposal in step.proposals)
    assert chosen["ratio"].chosen != chosen["accuracy"].chosen


def test_a_rule_has_its_step_sizes() -> None:
    assert settings_of_rule("accuracy") == NetAdaptSettings()
    by_ratio = settings_of_rule("ratio", max_proposals=3)
    assert (by_ratio.choose, by_ratio.step, by_ratio.decay, by_ratio.max_proposals) == ("ratio", 0.01, 1.0, 3)
    with pytest.raises(UsageError, match="'accuracy' or 'ratio'"):
        settings_of_rule("luck")


def test_no_step_takes_more_of_a_group_than_it_may_while_enough_groups_can_share(network: GraphNetwork) -> None:
    """The expansion alone could save half of everything, and must not: the step is made smaller instead."""
    harsh = NetAdaptSettings(step=0.4, max_ratio=1.0, channels=CHANNELS)
    gentle = NetAdaptSettings(step=0.4, max_ratio=0.5, channels=CHANNELS)
    lost = [
        max(
            proposal.lost / proposal.units
            for proposal in adapt(network, 0.6, Widths({0: 1.0}), settings).steps[0].proposals
        )
        for settings in (harsh, gentle)
    ]
    assert lost[0] > 0.5 >= lost[1]
    assert adapt(network, 0.6, Widths({0: 1.0}), gentle).met


def test_of_many_groups_those_that_are_worth_little_are_tried(network: GraphNetwork) -> None:
    every = adapt(network, 0.95, Widths({0: 1.0})).steps[0]
    for tried in (1, 2):
        settings = NetAdaptSettings(step=0.1, max_proposals=tried, channels=CHANNELS)
        step = adapt(network, 0.95, Widths({0: 1.0}), settings).steps[0]
        assert len(step.proposals) == tried < len(every.proposals)
        space = small_space(network.graph)
        worth = {
            proposal.group: sum(score for score, _ in space.order.removable_units(proposal.group)[: proposal.lost])
            for proposal in every.proposals
        }
        assert [proposal.group for proposal in step.proposals] == sorted(sorted(worth, key=worth.__getitem__)[:tried])


def test_out_of_reach_ends_with_the_narrowest_network(network: GraphNetwork) -> None:
    found = adapt(network, 0.001, Widths({0: 1.0}))
    assert not found.met
    assert found.network.graph[found.steps[-1].best.layers[0]].shape[0] >= 4


def test_it_goes_on_from_its_folder_with_the_same_result(network: GraphNetwork, tmp_path: Path) -> None:
    worth = {0: 1e-3, 1: 2e-3, 4: 1e-3}
    at_once = adapt(network, 0.4, Widths(worth))
    first = adapt(network, 0.7, Widths(worth), store=tmp_path)
    assert json.loads((tmp_path / "history.json").read_text())["steps"] == [
        json.loads(json.dumps(asdict(step))) for step in first.steps
    ]
    again = Widths(worth)
    assert adapt(network, 0.7, again, store=tmp_path).steps == first.steps
    assert again.tuned == 0
    second = adapt(network, 0.4, Widths(worth), store=tmp_path)
    assert second.steps[: len(first.steps)] == first.steps
    assert second.met
    assert total_madds(second.network.graph) <= 0.4 * total_madds(network.graph)
    assert abs(len(second.steps) - len(at_once.steps)) <= 1  # the last step to 0.7 was a short one


def test_an_interrupted_step_keeps_the_proposals_that_are_done(network: GraphNetwork, tmp_path: Path) -> None:
    class Stopping(Widths):
        def tune(self, network: GraphNetwork, step: int) -> Score:
            if self.tuned == 2:
                raise KeyboardInterrupt
            return super().tune(network, step)

    worth = {0: 1e-3, 4: 2e-3}
    with pytest.raises(KeyboardInterrupt):
        adapt(network, 0.9, Stopping(worth), store=tmp_path)
    rest = Widths(worth)
    found = adapt(network, 0.9, rest, store=tmp_path)
    whole = Widths(worth)
    assert found.steps == adapt(network, 0.9, whole).steps
    assert rest.tuned == whole.tuned - 2


def test_a_folder_of_another_network_is_refused(network: GraphNetwork, tmp_path: Path) -> None:
    adapt(network, 0.9, Widths({0: 1.0}), store=tmp_path)
    other = small_network()
    other.load_state_dict({name: value + 1 for name, value in other.state_dict().items()})
    with pytest.raises(UsageError, match="another network"):
        adapt(other, 0.9, Widths({0: 1.0}), store=tmp_path)
    with pytest.raises(UsageError, match="another settings"):
        adapt(network, 0.9, Widths({0: 1.0}), NetAdaptSettings(step=0.2, channels=CHANNELS), store=tmp_path)
    (tmp_path / "history.json").write_text("{}")
    with pytest.raises(UsageError, match="not a history of NetAdapt"):
        adapt(network, 0.9, Widths({0: 1.0}), store=tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"step": 0}, {"step": 1.0}, {"decay": 0}, {"choose": "luck"}, {"max_ratio": 0}, {"max_proposals": 0}]
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        NetAdaptSettings(**wrong)  # type: ignore[arg-type]


def test_on_real_images_short_trainings_recover_what_was_cut() -> None:
    network, data, held_out = small_network(), digits(0, 960), digits(960, 1200)
    train(network, data, held_out, SHORT.with_(epochs=6, learning_rate=1e-2))
    tuner = ShortFineTuner(data, HeldOutImages.of(held_out, 200), SHORT.with_(learning_rate=4e-3), images=640)
    found = netadapt(network, MADDS, 0.6 * total_madds(network.graph), tuner, SETTINGS)
    assert found.met
    assert found.steps[-1].best.accuracy == pytest.approx(tuner.score(found.network).top1)
    assert found.steps[-1].best.accuracy > tuner.score(network).top1 - 0.1


def test_tuning_is_the_same_each_time_and_differs_from_step_to_step() -> None:
    data = digits(0, 300)
    tuner = ShortFineTuner(data, HeldOutImages.of(digits(300, 400), 100), Recipe(**SHORT.model_dump()), images=64)
    networks = [small_network() for _ in range(3)]
    for network, step in zip(networks, (1, 1, 2), strict=True):
        tuner.tune(network, step)
    first, same, other = (network.state_dict()["5.weight"] for network in networks)
    assert first.equal(same)
    assert not first.equal(other)


def test_a_folder_of_an_earlier_version_is_gone_on_with(network: GraphNetwork, tmp_path: Path) -> None:
    """Earlier versions wrote `max_ratio`, `max_proposals` and `allocation` under other names."""
    first = adapt(network, 0.9, Widths({0: 1.0}), store=tmp_path)
    path = tmp_path / "history.json"
    document = json.loads(path.read_text())
    settings = document["settings"]
    settings |= {"most": settings.pop("max_ratio"), "tried": settings.pop("max_proposals")}
    settings["channels"]["spread"] = settings["channels"].pop("allocation")
    path.write_text(json.dumps(document))
    assert adapt(network, 0.9, Widths({0: 1.0}), store=tmp_path).steps == first.steps
