"""The networks that `fit` trains first: of different families, and as large as the budget allows."""

import pytest

from pocketcnn.graph import InputContract
from pocketcnn.pipeline.candidates import FILLED, LARGER, NETWORKS, propose_candidates, worst_miss
from pocketcnn.targets import Budget

SMALL = InputContract(channels=1, height=8, width=8, mean=(0.5,), std=(0.5,))
LARGE = InputContract(channels=3, height=72, width=72, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.mark.parametrize("contract", [SMALL, LARGE], ids=["8x8", "72x72"])
@pytest.mark.parametrize("bound", ["params<=60k", "params<=210k", "macs<=3M"])
def test_the_first_round_has_every_network_once(contract: InputContract, bound: str) -> None:
    """As long as there are no more places than networks; a second candidate of one comes after the first of all."""
    plans = propose_candidates(contract, 6, Budget.parse(bound), limit=len(NETWORKS))
    assert len({plan.network for plan in plans}) == len(plans) > 1


def test_the_budget_is_filled() -> None:
    """Widths between those of the grid are tried: the network at 0.5 of the budget becomes one near the bound."""
    for bound in ("params<=130k", "params<=210k"):
        budget = Budget.parse(bound)
        (plan,) = propose_candidates(LARGE, 6, budget, limit=1, networks=("mobilenet_v2",))
        assert FILLED <= worst_miss(plan.graph, budget) <= 1


def test_larger_images_are_a_choice_where_images_are_not_small() -> None:
    sizes = {plan.size for plan in propose_candidates(LARGE, 6, Budget.parse("params<=200k"), limit=4)}
    assert sizes == {(72, 72), (round(72 * LARGER), round(72 * LARGER))}
    assert {plan.size for plan in propose_candidates(SMALL, 6, Budget.parse("params<=200k"), limit=8)} == {(8, 8)}
    largest = LARGE.model_copy(update={"height": 224, "width": 224})
    plans = propose_candidates(largest, 6, Budget.parse("params<=60k"), limit=4, networks=("mobilenet_v1",) * 2)
    assert max(plan.size for plan in plans) == (224, 224)


def test_the_closest_candidate_alone_if_none_comes_near() -> None:
    (plan,) = propose_candidates(SMALL, 6, Budget.parse("params<=100"), limit=4)
    assert worst_miss(plan.graph, Budget.parse("params<=100")) > 1
