"""The roofline against a hand-made cost, and what is fused."""

import pytest

from pocketcnn.cost import Cost, LayerCost, count, fused_layers, roofline
from pocketcnn.errors import UsageError
from pocketcnn.graph import capture, for_inference
from pocketcnn.models import create


def layer(name: str, madds: int, moved: int) -> LayerCost:
    return LayerCost(name, "conv2d", (1, 1, 1), madds, 0.5, 0, 0, moved, 0, 0)


COST = Cost(300, 0, 0, 0, "a", 0, (layer("a", 200, 10), layer("b", 100, 50)))


def test_each_layer_takes_the_larger_of_its_two_times():
    found = roofline(COST, peak_madds=100.0, bandwidth=20.0)
    assert [bound.seconds for bound in found.layers] == [2.0, 2.5]
    assert [bound.bound_by for bound in found.layers] == ["compute", "memory"]
    assert found.seconds == 4.5
    assert found.ridge == 5.0


def test_a_fused_layer_moves_nothing_of_its_own():
    found = roofline(COST, 100.0, 20.0, fused={"b"})
    assert [bound.seconds for bound in found.layers] == [2.0, 1.0]


@pytest.mark.parametrize("rates", [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_rates_are_above_zero(rates):
    with pytest.raises(UsageError, match="Rates must be positive"):
        roofline(COST, *rates)


def test_activations_behind_convolutions_are_fused_and_gates_are_not():
    graph = for_inference(capture(create("mobilenet_v3_small", width=0.25, classes=3), (1, 3, 32, 32)))
    fused = fused_layers(graph)
    assert "features.stem.act" in fused
    assert not [name for name in fused if graph[name].op in ("mul", "add", "conv2d", "mean", "reshape")]
    bound = roofline(count(graph), 1e9, 1e9, fused)
    assert bound.seconds < roofline(count(graph), 1e9, 1e9).seconds
