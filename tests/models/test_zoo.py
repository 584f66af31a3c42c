"""What every network of the zoo can do: registering one buys it all of these tests."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.models.squeezenet import SqueezeNet
from tests.support.zoo_forms import NAMES, SMALLEST_SIDE, each, having, shapes, side, small


@pytest.mark.parametrize("name", each())
@torch.no_grad()
def test_outputs_are_finite_logits_at_any_input_size(name):
    network = small(name).eval()
    for height, width in [(8, 8), (33, 47), (64, 224)]:
        shape = (max(height, SMALLEST_SIDE[name]), max(width, SMALLEST_SIDE[name]))
        logits = network(torch.randn(1, 3, *shape))
        assert logits.shape == (1, 10)
        assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", each())
def test_every_parameter_receives_a_gradient(name):
    small_image = {"total_stride": 4} if "total_stride" in zoo.network_options(name) else {}
    network = small(name, dropout=0.0, **small_image).train()
    pixels = side(name) if small_image else side(name, at_least=64)
    network(torch.randn(4, 3, pixels, pixels)).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", each())
@torch.no_grad()
def test_takes_grey_images(name):
    pixels = side(name)
    with torch.device("cpu" if "width" in zoo.network_options(name) else "meta"):
        assert small(name, in_channels=1).eval()(torch.randn(2, 1, pixels, pixels)).shape == (2, 10)


@pytest.mark.parametrize("name", each(having("total_stride")))
@torch.no_grad()
def test_total_stride_sets_the_output_map_and_keeps_every_weight(name):
    lost = 3 if name.startswith("squeezenet") else 0  # its layers do not pad: some pixels at the border go
    with torch.device("cpu" if "width" in zoo.network_options(name) else "meta"):  # large ones without data
        reference = small(name)
        for total in (16, 8, 4, 2):
            network = small(name, total_stride=total).eval()
            height, width = network.features(torch.randn(1, 3, 32, 64)).shape[2:]
            assert 32 // total - lost <= height <= 32 // total
            assert 64 // total - lost <= width <= 64 // total
            assert shapes(network) == shapes(reference)


@pytest.mark.parametrize("name", each(having("width")))
@pytest.mark.parametrize("width", [0.01, 0.35, 1.3])
@torch.no_grad()
def test_widths_from_tiny_to_large_build_and_run(name, width):
    network = zoo.create(name, width=width, classes=2, total_stride=8).eval()
    assert min(norm.num_features for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)) >= 8
    assert network(torch.randn(1, 3, 16, 16)).shape == (1, 2)


@pytest.mark.parametrize("name", each())
@torch.no_grad()
def test_features_and_classifier_stand_alone_for_transfer(name):
    network, pixels = small(name).eval(), side(name, at_least=32)
    images = torch.randn(2, 3, pixels, pixels)
    features = network.features(images)
    if isinstance(network, SqueezeNet):
        logits = network.classifier(features).mean((2, 3))
    else:
        logits = network.classifier(network.pool(features).flatten(1))
    torch.testing.assert_close(logits, network(images))


@pytest.mark.parametrize("name", each())
def test_reset_classifier_changes_the_last_layer_only(name):
    network, pixels = small(name), side(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.reset_classifier(3)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    last = [key for key in before if key.startswith("classifier.")][-1].rpartition(".")[0]
    assert changed == {f"{last}.weight", f"{last}.bias"}
    assert network.eval()(torch.randn(1, 3, pixels, pixels)).shape == (1, 3)


def test_reset_classifier_refuses_a_classifier_without_a_linear_layer_at_its_end():
    network = small("mobilenet_v1")
    network.classifier.append(nn.Softmax(1))
    with pytest.raises(TypeError, match="Softmax"):
        network.reset_classifier(3)


@pytest.mark.parametrize("name", each())
def test_dropout_acts_in_training_only(name):
    network, pixels = small(name, dropout=0.9), side(name)
    assert {part.p for part in network.modules() if isinstance(part, nn.Dropout)} == {0.9}
    network.eval()
    images = torch.randn(2, 3, pixels, pixels)
    torch.testing.assert_close(network(images), network(images))


@pytest.mark.parametrize("name", each(having("head_width")))
def test_head_width_sets_the_input_of_the_last_layer(name):
    network, pixels = small(name, head_width=40), side(name)
    assert network.classifier[-1].in_features == 40
    assert network.eval()(torch.randn(1, 3, pixels, pixels)).shape == (1, 10)


@pytest.mark.parametrize("name", each())
def test_the_same_seed_gives_the_same_weights(name):
    first, second = small(name).state_dict(), small(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


CONSTANTS = {  # eps and momentum of batch norm, as the reference code has them
    "mobilenet_v1": (1e-3, 3e-4),
    "mobilenet_v2": (1e-3, 3e-3),
    "mobilenet_v3_small": (1e-3, 0.01),
    "mobilenet_v3_large_minimalistic": (1e-3, 0.01),
    "mobilenet_v4_conv_small": (1e-3, 0.01),
    "mnasnet_a1": (1e-3, 0.01),
    "efficientnet_lite0": (1e-3, 0.01),
    "nasnet_mobile": (1e-3, 3e-4),
    "condensenet_86": (1e-5, 0.1),
    "resnet18": (1e-5, 0.1),
    "shufflenet_v2": (1e-5, 0.1),
}


@pytest.mark.parametrize(("name", "constants"), CONSTANTS.items())
def test_batch_norm_constants_are_the_references(name, constants):
    norms = [part for part in small(name).modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {(part.eps, round(part.momentum, 6)) for part in norms} == {constants}


def test_names_are_sorted_and_unique():
    assert sorted(set(NAMES)) == NAMES
