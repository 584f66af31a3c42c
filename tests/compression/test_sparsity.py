"""Zeros among the weights: as many as asked, the smallest ones, and there to stay."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pocketcnn.compression.coding.sparsity import (
    Pattern,
    Unstructured,
    parse_sparsity,
    sparsify,
    weight_names,
    zero_share,
    zeros_kept,
)
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.graph.model_file import load, save
from pocketcnn.training import Recipe, train
from tests.support.small_digits import accuracy, fit, trained_network


def weights(network: GraphNetwork) -> dict[str, Tensor]:
    return {name: network.graph.tensors[name] for name in weight_names(network.graph)}


class TestUnstructured:
    @pytest.mark.parametrize("share", [0.3, 0.8])
    def test_the_smallest_are_zero_in_each_layer(self, share: float) -> None:
        network = trained_network()
        sparse = sparsify(network, Unstructured(share, "layer"))
        for name, weight in weights(sparse).items():
            source = weights(network)[name]
            gone = weight == 0
            assert int(gone.sum()) == round(share * weight.numel())
            assert torch.equal(weight[~gone], source[~gone])
            assert source[gone].abs().max() <= source[~gone].abs().min()

    def test_together_they_are_ranked_in_units_of_their_layer(self) -> None:
        network = trained_network()
        sparse = sparsify(network, "0.7")
        assert zero_share(sparse.graph) == pytest.approx(0.7, abs=1e-3)
        larger = GraphNetwork(network.graph.rebuilt())
        name = weight_names(larger.graph)[2]
        with torch.no_grad():
            larger.get_parameter(name).mul_(1000)
        again = weights(sparsify(larger, "70%"))
        assert all(torch.equal(again[key] == 0, value == 0) for key, value in weights(sparse).items())

    def test_biases_and_norms_are_spared(self) -> None:
        sparse = sparsify(trained_network(), "90%")
        assert all(bool((p != 0).any()) for p in sparse.parameters() if p.ndim == 1)


class TestPattern:
    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 3), st.integers(4, 19), st.sampled_from([1, 3]))
    def test_of_every_four_along_the_inputs_the_largest_are_kept(self, kept: int, inputs: int, kernel: int) -> None:
        torch.manual_seed(inputs)
        network = GraphNetwork(capture(nn.Conv2d(inputs, 5, kernel), (1, inputs, 8, 8)))
        sparse = sparsify(network, Pattern(kept, 4))
        (weight,), (source,) = weights(sparse).values(), weights(network).values()
        for start in range(0, inputs, 4):
            part, whole = weight[:, start : start + 4], source[:, start : start + 4]
            alive = part != 0
            assert (alive.sum(1) == min(kept, part.shape[1])).all()
            assert torch.equal(part[alive], whole[alive])
            lost = torch.where(alive, 0.0, whole.abs()).amax(1)
            assert (lost <= torch.where(alive, whole.abs(), torch.inf).amin(1)).all()

    def test_depthwise_layers_stay_dense(self) -> None:
        network = GraphNetwork(capture(nn.Conv2d(8, 8, 3, groups=8), (1, 8, 8, 8)))
        assert zero_share(sparsify(network, "2:4").graph) == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("0.8", Unstructured(0.8)), ("80%", Unstructured(0.8)), ("2:4", Pattern(2, 4))]
)
def test_texts(text: str, expected: object) -> None:
    assert parse_sparsity(text) == expected


@pytest.mark.parametrize("text", ["much", "1.0", "0", "4:4", "0:4", "2:", "120%", ""])
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_sparsity(text)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_training_keeps_the_zeros_and_moves_the_rest(optimizer: str) -> None:
    network = sparsify(trained_network(), "60%")
    before = copy.deepcopy(weights(network))
    recipe = Recipe(epochs=1, optimizer=optimizer, learning_rate=1e-3, warmup_epochs=0, weight_decay=0.1)
    with zeros_kept(network):
        train(network, _digits(), _digits(), recipe)
    for name, weight in weights(network).items():
        assert torch.equal(weight == 0, before[name] == 0)
        assert not torch.equal(weight, before[name])
    train(network, _digits(), _digits(), recipe)
    assert zero_share(network.graph) < 0.01  # outside, they are weights as any other


def _digits() -> torch.utils.data.Dataset[tuple[Tensor, int]]:
    from tests.support.trained_zoo import Digits

    return Digits((0, 192), 8)


def test_half_of_the_weights_are_not_missed_after_recovery(tmp_path: Path) -> None:
    network = trained_network()
    sparse = sparsify(network, "2:4")
    with zeros_kept(sparse):
        fit(sparse, 2, rate=3e-3)
    assert accuracy(sparse) > accuracy(network) - 0.03
    save(tmp_path / "sparse.safetensors", sparse)
    assert zero_share(load(tmp_path / "sparse.safetensors").graph) == zero_share(sparse.graph) > 0.4
