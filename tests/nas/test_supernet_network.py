"""A supernet: its sub-networks are ordinary networks with parts of its tensors."""

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.nas.supernet.network import Sandwich, Supernet, at_size, extract
from pocketcnn.nas.supernet.sampling import random_subnetwork
from pocketcnn.nas.supernet.slicing import centre
from pocketcnn.nas.supernet.sorting import sort_channels
from pocketcnn.nas.supernet.subnetwork import Block, Subnetwork
from tests.support.supernet import PLAN, disturbed

SUPERNET = disturbed()
IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_what_is_taken_out_computes_what_the_supernet_computes(seed: int) -> None:
    choice = random_subnetwork(PLAN, Random(seed))
    network = extract(SUPERNET, choice)
    inside = SUPERNET.run(IMAGES, choice)
    torch.testing.assert_close(network(at_size(IMAGES, choice.size)), inside, rtol=0, atol=1e-5)
    assert sum(parameter.numel() for parameter in network.parameters()) == sum(
        parameter.numel() for parameter in PLAN.build(choice).parameters()
    )


def test_a_sub_network_is_captured_like_any_other_network() -> None:
    choice = PLAN.middle
    images = at_size(IMAGES, choice.size)
    graph = capture(extract(SUPERNET, choice), tuple(images.shape))
    torch.testing.assert_close(GraphNetwork(graph).eval()(images), SUPERNET.run(IMAGES, choice), rtol=0, atol=1e-5)


def test_the_largest_choice_is_the_largest_network() -> None:
    torch.testing.assert_close(SUPERNET.run(IMAGES, PLAN.largest), SUPERNET(IMAGES), rtol=0, atol=1e-6)


def test_a_step_trains_the_smallest_and_random_sub_networks() -> None:
    assert Sandwich(PLAN, drawn=0).choices(Random(0)) == [PLAN.smallest]
    drawn = Sandwich(PLAN, drawn=3, smallest=False).choices(Random(0))
    assert Sandwich(PLAN, drawn=3).choices(Random(0)) == [PLAN.smallest, *drawn]
    assert len(drawn) == 3
    for wrong in ({"drawn": -1}, {"drawn": 0, "smallest": False}):
        with pytest.raises(UsageError, match="Each step of a supernet trains"):
            Sandwich(PLAN, **wrong)  # type: ignore[arg-type]


def test_a_block_takes_the_first_channels_and_the_transformed_middle_of_its_kernel() -> None:
    choice = Subnetwork((8, 8), ((Block(3, 2),), (Block(5, 3), Block(3, 2))))
    found, full = extract(SUPERNET, choice).state_dict(), SUPERNET.largest.state_dict()
    # block 1 is fixed; block 2 is the first of stage 1, and 3 and 4 are those of stage 2, which are 4 and 5 of the largest
    torch.testing.assert_close(
        found["features.block2.expand.conv.weight"], full["features.block2.expand.conv.weight"][:16]
    )
    torch.testing.assert_close(
        found["features.block4.project.conv.weight"], full["features.block5.project.conv.weight"][:, :32]
    )
    torch.testing.assert_close(
        found["features.block4.squeeze_excite.reduce.weight"],
        full["features.block5.squeeze_excite.reduce.weight"][:8, :32],
    )
    large = full["features.block5.depthwise.conv.weight"][:32]
    matrices = SUPERNET.matrices[3]
    expected = torch.zeros(32, 1, 3, 3)
    for channel in range(32):
        five = (matrices["from7to5"] @ large[channel, 0, 1:6, 1:6].reshape(-1)).reshape(5, 5)
        expected[channel, 0] = (matrices["from5to3"] @ five[1:4, 1:4].reshape(-1)).reshape(3, 3)
    torch.testing.assert_close(found["features.block4.depthwise.conv.weight"], expected.detach())


def test_at_the_start_a_small_kernel_is_the_middle_of_the_large_one() -> None:
    supernet = Supernet(PLAN)
    name = "features.block2.depthwise.conv.weight"
    small = supernet.tensors_of(PLAN.smallest)[name]
    torch.testing.assert_close(small, centre(supernet.largest.state_dict()[name][:16], 3))


def test_the_same_seed_makes_the_same_supernet_and_leaves_torchs_stream_alone() -> None:
    before = torch.get_rng_state()
    one, other, third = Supernet(PLAN, 1).state_dict(), Supernet(PLAN, 1).state_dict(), Supernet(PLAN, 2).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)
    assert torch.equal(before, torch.get_rng_state())


def test_sorting_changes_nothing_that_the_largest_network_computes() -> None:
    supernet = disturbed(seed=3)
    before = supernet(IMAGES)
    sort_channels(supernet)
    torch.testing.assert_close(supernet(IMAGES), before, rtol=0, atol=1e-5)
    for number in (2, 3, 4, 5):
        reader = supernet.largest.state_dict()[f"features.block{number}.project.conv.weight"]
        importance = reader.abs().sum(dim=(0, 2, 3))
        assert bool((importance[:-1] >= importance[1:]).all())


def test_sorting_keeps_more_of_the_largest_network_in_a_narrow_one() -> None:
    """Where half of the channels are read with small weights, those are the ones that a narrow block leaves out."""
    supernet = disturbed(seed=4)
    with torch.no_grad():
        for name, tensor in supernet.largest.named_parameters():
            if name.endswith("project.conv.weight") and "block1." not in name:
                tensor[:, ::3] *= 1e-4
    narrow = PLAN.uniform((8, 8), 2, 7, 2)
    whole = supernet(IMAGES)
    before = (supernet.run(IMAGES, narrow) - whole).abs().max()
    sort_channels(supernet)
    after = (supernet.run(IMAGES, narrow) - supernet(IMAGES)).abs().max()
    assert after < before / 5


def test_a_step_trains_the_smallest_and_random_sub_networks_by_the_largest_ones_predictions() -> None:
    supernet = disturbed(seed=5).train()
    supernet.sandwich = Sandwich(PLAN, drawn=2)
    seen: list[Subnetwork] = []
    original = supernet.run
    supernet.run = lambda x, choice: (seen.append(choice), original(x, choice))[1]  # type: ignore[method-assign]
    logits = supernet(IMAGES)
    statistics = {name: buffer.clone() for name, buffer in supernet.largest.named_buffers()}
    penalty = supernet.penalty()
    assert seen[0] == PLAN.smallest
    assert len(seen) == 3
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in supernet.largest.named_buffers())
    penalty.backward()
    assert float(penalty.detach()) > 0
    assert logits.requires_grad
    gradients = {name: parameter.grad for name, parameter in supernet.named_parameters()}
    assert float(gradients["matrices.0.from5to3"].abs().sum()) > 0  # type: ignore[union-attr]
    assert all(gradient is not None for name, gradient in gradients.items() if name.startswith("matrices"))


def test_there_is_no_penalty_without_a_sandwich_or_a_forward_pass() -> None:
    supernet = disturbed(seed=6).train()
    supernet(IMAGES)
    assert float(supernet.penalty()) == 0.0
    supernet.sandwich = Sandwich(PLAN)
    assert float(supernet.penalty()) == 0.0
    supernet(IMAGES)
    assert float(supernet.penalty().detach()) > 0
    assert float(supernet.penalty()) == 0.0  # the batch is learned once


def test_a_supernet_of_one_network_can_be_trained_too() -> None:
    plan = PLAN.restricted(sizes=((8, 8),), kernels=(3,), expansions=(2,), depths=(1,))
    supernet = Supernet(plan).train()
    supernet.sandwich = Sandwich(plan, drawn=0)
    loss = supernet(IMAGES).square().mean() + supernet.penalty()
    loss.backward()
    assert all(parameter.grad is not None for parameter in supernet.parameters())


def test_a_supernet_has_no_other_module_for_a_sub_network() -> None:
    """What is saved, moved and averaged are the largest network and the matrices."""
    supernet = disturbed(seed=7)
    before = set(supernet.state_dict())
    supernet.run(IMAGES, PLAN.smallest)
    assert set(supernet.state_dict()) == before
    assert not any(parameter.is_meta for parameter in supernet.parameters())
    assert isinstance(supernet.matrices, nn.ModuleList)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Subnetwork((9, 9), PLAN.largest.stages), "takes images of 8x8, 6x6, not 9x9"),
        (Subnetwork((8, 8), PLAN.largest.stages[:1]), "has 2 stages, the sub-network 1"),
        (Subnetwork((8, 8), ((Block(3, 2),) * 3, (Block(3, 2),))), "Stage 1 may have 1 or 2 blocks, not 3"),
        (Subnetwork((8, 8), ((Block(3, 2),), (Block(9, 2),))), "Stage 2 has a block k9e2"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_with_its_place(choice: Subnetwork, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        extract(SUPERNET, choice)
