"""The page on clustered weights: made of the JSON alone, and what the control leaves out."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.compression.clustering import METHODS, centres_used, moving_centres, page
from pocketcnn.compression.coding import ClusterSettings, cluster_weights, clustering
from pocketcnn.graph import GraphNetwork, capture

CHECKED_IN = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def test_the_page_that_is_checked_in_is_made_of_its_figures() -> None:
    found = json.loads((CHECKED_IN / "clustering.json").read_text())
    assert page(found) == (CHECKED_IN / "clustering.md").read_text()


def with_an_outlier() -> GraphNetwork:
    layer = torch.nn.Linear(16, 32)
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    layer.weight.data[0, 0] = 100.0
    return GraphNetwork(capture(torch.nn.Sequential(torch.nn.Flatten(), layer), (1, 1, 4, 4)))


@pytest.mark.parametrize(("method", "uses_most"), list(zip(METHODS, (False, True), strict=True)))
def test_the_control_leaves_centres_empty_and_the_default_moves_them(method: str, uses_most: bool) -> None:
    before = clustering.MIN_USED_RATIO
    with moving_centres(METHODS[method]):
        (used,) = centres_used(cluster_weights(with_an_outlier(), ClusterSettings(bits=4)).graph, 4)
    assert (used > 0.75) == uses_most
    assert before == clustering.MIN_USED_RATIO
