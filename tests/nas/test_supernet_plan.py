"""Supernets and sub-networks as data."""

import json
from random import Random

import pytest

from pocketcnn.cost import count
from pocketcnn.errors import UsageError
from pocketcnn.models import create
from pocketcnn.nas.supernet.plan import SupernetPlan, mobilenet_supernet
from pocketcnn.nas.supernet.sampling import crossed, lowered, mutated, random_subnetwork, shrinking_path
from pocketcnn.nas.supernet.schedule import SCHEDULES, phases_of
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from tests.support.supernet import PLAN


def paper() -> SupernetPlan:
    sizes = ((224, 224), (192, 192), (160, 160), (128, 128))
    return mobilenet_supernet(width=1.0, in_channels=3, classes=1000, sizes=sizes)


def test_plans_and_choices_go_through_json() -> None:
    for plan in (PLAN, paper()):
        assert SupernetPlan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan
        choice = random_subnetwork(plan, Random(0))
        assert Subnetwork.from_dict(json.loads(json.dumps(choice.as_dict()))) == choice
        plan.check(choice)


def test_the_papers_supernet_has_more_than_ten_to_the_nineteenth_sub_networks_a_size() -> None:
    """Section 3.2: with three kernels and three widths a block, ((3·3)² + (3·3)³ + (3·3)⁴)⁵ ≈ 2 · 10¹⁹."""
    plan = paper()
    blocks = len(plan.kernels) * len(plan.expansions)
    assert sum(blocks**depth for depth in plan.depths) ** len(plan.stages) > 2e19
    assert plan.total_stride == 32


def test_it_has_mobilenet_v3_large_almost_inside() -> None:
    """Its widths and strides are those of MobileNetV3-Large, so what lies around its sub-networks is of the same size."""
    plan = paper()
    smallest, largest = (
        count(plan.build(choice), (1, 3, 224, 224)).madds
        for choice in (plan.smallest, plan.uniform((224, 224), 4, 7, 6))
    )
    published = count(create("mobilenet_v3_large"), (1, 3, 224, 224)).madds
    assert smallest < published < largest


def test_small_images_keep_a_map() -> None:
    plan = mobilenet_supernet(width=0.25, in_channels=1, classes=10, sizes=((8, 8),), total_stride=2, small=True)
    assert plan.total_stride == 2
    network = plan.build(plan.largest)
    assert count(network.features, (1, 1, 8, 8)).layers[-1].shape[-2:] == (4, 4)


@pytest.mark.parametrize(
    "text", ['{"size": [8], "stages": []}', '{"stages": []}', '{"size": [8, 8], "stages": [[[3]]]}']
)
def test_a_choice_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="A sub-network must have the form"):
        Subnetwork.from_dict(json.loads(text))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernels": (4,)}, "odd"),
        ({"kernels": (5, 3)}, "ascending"),
        ({"expansions": (1, 2)}, "at least 2"),
        ({"depths": (0, 1)}, "at least one block"),
    ],
)
def test_a_plan_that_cannot_be_built_is_refused(changes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PLAN.restricted(**changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="does not describe a supernet"):
        SupernetPlan.from_dict({"stages": []})


def test_what_is_drawn_or_varied_exists() -> None:
    rng = Random(1)
    for _ in range(200):
        one, other = random_subnetwork(PLAN, rng), random_subnetwork(PLAN, rng)
        for choice in (one, crossed(one, other, rng), mutated(PLAN, one, rng, 0.5)):
            PLAN.check(choice)
        assert mutated(PLAN, one, rng, 0.0) == one


def test_every_value_is_drawn() -> None:
    rng = Random(2)
    drawn = [random_subnetwork(PLAN, rng) for _ in range(200)]
    assert {choice.size for choice in drawn} == set(PLAN.sizes)
    assert {depth for choice in drawn for depth in choice.depths} == set(PLAN.depths)
    blocks = {block for choice in drawn for stage in choice.stages for block in stage}
    assert len(blocks) == len(PLAN.kernels) * len(PLAN.expansions)


def test_the_way_down_is_step_by_step_ever_cheaper_and_ends_at_the_smallest() -> None:
    way = list(shrinking_path(PLAN, PLAN.largest, Random(3)))
    assert way[0] == PLAN.largest
    assert way[-1] == PLAN.smallest
    madds = [count(PLAN.build(choice), (1, 1, *choice.size)).madds for choice in way]
    assert madds == sorted(madds, reverse=True)
    assert len(set(way)) == len(way)
    assert lowered(PLAN, PLAN.smallest) == []


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_last_phase_trains_everything(name: str) -> None:
    phases = phases_of(name, PLAN)
    assert sum(phase.share for phase in phases) == pytest.approx(1.0)
    assert phases[-1].sandwich is not None
    assert phases[-1].sandwich.space == PLAN


def test_progressive_shrinking_opens_kernels_then_depths_then_widths() -> None:
    phases = phases_of("progressive", PLAN)
    assert [phase.name for phase in phases] == ["largest", "elastic kernel", "elastic depth", "elastic width"]
    spaces = [phase.sandwich.space for phase in phases if phase.sandwich is not None]
    assert [len(space.sizes) for space in spaces] == [2, 2, 2, 2]
    assert [len(space.kernels) for space in spaces] == [1, 3, 3, 3]
    assert [len(space.depths) for space in spaces] == [1, 1, 2, 2]
    assert [len(space.expansions) for space in spaces] == [1, 1, 1, 2]
    assert [phase.sorts for phase in phases] == [False, False, False, True]


def test_a_phase_that_opens_nothing_is_left_out_and_the_shares_still_add_up() -> None:
    plan = PLAN.restricted(sizes=((8, 8),), kernels=(3,))
    phases = phases_of("progressive", plan)
    assert [phase.name for phase in phases] == ["largest", "elastic depth", "elastic width"]
    assert phases[0].sandwich is None
    assert sum(phase.share for phase in phases) == pytest.approx(1.0)


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="no supernet schedule 'backwards'"):
        phases_of("backwards", PLAN)
