"""Weight sharing, the training of shared values, and rounding: against the plain formulas."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pocketcnn.compression.coding import ClusterSettings, cluster_weights, deep_compress
from pocketcnn.compression.coding.clustered_network import ClusteredNetwork
from pocketcnn.compression.coding.clustering import clusterable_weights, codebooks_of, kmeans_codebook, rounded
from pocketcnn.compression.coding.sparsity import weight_names, zero_share
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, for_inference
from tests.support.small_networks import float_network, images, quantized_network

floats = st.floats(-4, 4, width=32)


def weights_of(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


# k-means ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(values=st.lists(floats, min_size=1, max_size=60), bits=st.integers(1, 5))
def test_weights_take_the_nearest_value_and_values_are_means(values: list[float], bits: int) -> None:
    weights = torch.tensor(values)
    shared = kmeans_codebook(weights, bits)
    assert len(shared.codebook) <= 2**bits
    assert torch.equal(shared.codebook, shared.codebook.unique())
    taken = torch.bincount(shared.indices, minlength=len(shared.codebook))
    assert bool((taken > 0).all())
    distances = (weights[:, None].double() - shared.codebook.double()).abs()
    chosen = distances.gather(1, shared.indices[:, None])[:, 0]
    torch.testing.assert_close(chosen, distances.min(1).values, rtol=0, atol=1e-6)
    means = torch.zeros(len(taken), dtype=torch.float64).index_add_(0, shared.indices, weights.double()) / taken
    torch.testing.assert_close(shared.codebook.double(), means, rtol=1e-5, atol=1e-6)


def test_it_is_lloyds_algorithm_from_linear_values() -> None:
    """The same iterations, written down in the plainest way."""
    weights = weights_of(500).double()
    centres = torch.linspace(float(weights.min()), float(weights.max()), 16, dtype=torch.float64)
    for _ in range(100):
        nearest = (weights[:, None] - centres).abs().argmin(1)
        centres = torch.stack(
            [weights[nearest == k].mean() if bool((nearest == k).any()) else centres[k] for k in range(16)]
        )
    found = kmeans_codebook(weights, 4)
    used = centres[torch.bincount(nearest, minlength=16) > 0]
    torch.testing.assert_close(found.codebook, used)


def test_the_squared_error_is_close_to_the_best_there_is() -> None:
    """Optimal borders of few weights by trying all."""
    weights = weights_of(24, seed=3).sort().values.double()
    best = min(
        sum(float(((part - part.mean()) ** 2).sum()) for part in torch.tensor_split(weights, list(borders)))
        for borders in itertools.combinations(range(1, 24), 3)
    )
    found = float(((kmeans_codebook(weights, 2).values - weights) ** 2).sum())
    assert best <= found < 1.5 * best


def test_few_distinct_weights_are_kept_as_they_are() -> None:
    weights = torch.tensor([[0.1, -0.0, 0.3], [0.3, 1e-30, -7.0]])
    assert torch.equal(kmeans_codebook(weights, 3).values, weights)
    assert kmeans_codebook(torch.zeros(0), 4).values.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_a_few_weights_far_from_the_others_do_not_cost_the_values_of_the_layer(bits: int, seed: int) -> None:
    """As in a depthwise layer whose batch normalization was folded: most linear values would have no weight near them."""
    near, far = weights_of(300, seed), 40 * weights_of(3, seed + 100)
    shared = kmeans_codebook(torch.cat([near, far]), bits)
    assert len(shared.codebook) == 2**bits
    alone = kmeans_codebook(near, bits)
    error, least = ((shared.values[:300] - near) ** 2).sum(), ((alone.values - near) ** 2).sum()
    assert error < (4 if bits > 2 else 30) * least  # the three take values of their own


# Rounding -----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(values=st.lists(st.floats(width=32, allow_subnormal=False), min_size=1, max_size=20), digits=st.integers(2, 24))
def test_rounding_keeps_the_digits_and_the_nearest_value(values: list[float], digits: int) -> None:
    tensor = torch.tensor(values)
    found = rounded(tensor, digits)
    for before, after in zip(tensor.tolist(), found.tolist(), strict=True):
        if not np.isfinite(before) or before == 0 or abs(before) > 2.0**127:
            continue
        step = 2.0 ** (np.floor(np.log2(abs(before))) - digits + 1)
        assert abs(after - before) <= step / 2
        assert after / step == round(after / step)


def test_half_precision_is_eleven_digits() -> None:
    values = weights_of(1000)
    assert torch.equal(rounded(values, 11), values.half().float())
    assert torch.equal(rounded(values, 24), values)
    assert torch.equal(rounded(torch.arange(5), 3), torch.arange(5))


# Networks -----------------------------------------------------------------------------------------------------


def test_a_coded_network_is_sparse_and_shared_and_all_else_is_rounded() -> None:
    network = float_network()
    kept = "classifier.1.weight"
    settings = ClusterSettings(density=0.4, bits=4, bits_of={"stem.0.weight": 2}, keep=frozenset({kept}))
    found = cluster_weights(network, settings).graph
    plain = for_inference(network.graph)
    for name in weight_names(found):
        if name == kept:
            assert torch.equal(found.tensors[name], plain.tensors[name])
            continue
        values = found.tensors[name]
        assert len(values[values != 0].unique()) <= (4 if name == "stem.0.weight" else 16)
    for name in found.tensors.keys() - set(weight_names(found)):
        assert torch.equal(found.tensors[name], plain.tensors[name].half().float())
    assert 0.5 < zero_share(found) < 0.6  # the kept weight counts among those that were ranked
    assert zero_share(cluster_weights(network, ClusterSettings(density=None, bits=None, digits=24)).graph) == 0
    unchanged = cluster_weights(network, ClusterSettings(bits=None, digits=24)).graph
    assert all(torch.equal(tensor, plain.tensors[name]) for name, tensor in unchanged.tensors.items())


def test_what_cannot_be_coded_is_refused() -> None:
    with pytest.raises(UsageError, match=r"integers are entropy-coded without clustering"):
        cluster_weights(quantized_network())
    with pytest.raises(UsageError, match="weight called 'stem'"):
        cluster_weights(float_network(), ClusterSettings(keep=frozenset({"stem"})))
    with pytest.raises(UsageError, match="density = 0"):
        ClusterSettings.checked(density=0)


def test_the_gradient_of_a_shared_value_is_the_sum_over_its_weights() -> None:
    network = GraphNetwork(for_inference(float_network().graph))
    settings = ClusterSettings(bits=3)
    shared = codebooks_of(clusterable_weights(network.graph, settings), settings)
    tuned = ClusteredNetwork(network, shared).eval()
    F.cross_entropy(tuned(images()), torch.arange(4)).backward()

    plain = tuned.reparameterize().train()
    F.cross_entropy(plain.eval()(images()), torch.arange(4)).backward()
    for number, (name, part) in enumerate(shared.items()):
        gradient = plain.get_parameter(name).grad
        assert gradient is not None
        places = network.get_parameter(name).detach() != 0
        sums = torch.zeros_like(part.codebook).index_add_(0, part.indices, gradient[places])
        torch.testing.assert_close(tuned.codebooks[number].grad, sums, rtol=1e-3, atol=1e-6)
        assert network.get_parameter(name).grad is None


def test_deep_compression_trains_within_the_zeros_and_within_the_shared_values() -> None:
    network, inputs = float_network(), images(32, seed=5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    labels, stages = torch.arange(32) % 5, []
    losses: dict[str, list[float]] = {}

    def retrain(stage: str, module: torch.nn.Module) -> None:
        stages.append(stage)
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-2)
        for _ in range(25):
            loss = F.cross_entropy(module.train()(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.setdefault(stage, []).append(float(loss.detach()))

    settings = ClusterSettings(density=0.5, bits=4)
    found = deep_compress(network, settings, retrain)
    assert stages == ["sparse", "shared"]
    assert all(course[-1] < course[0] for course in losses.values())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert zero_share(found.graph) == pytest.approx(0.5, abs=0.01)
    for name in weight_names(found.graph):
        values = found.graph.tensors[name]
        assert len(values[values != 0].unique()) <= 16
    untrained = cluster_weights(network, settings)
    both = [float(F.cross_entropy(each.eval()(inputs), labels).detach()) for each in (found, untrained)]
    assert both[0] < 0.9 * both[1]
