"""What every network of the zoo can do: registering one buys it all of these tests."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo

NAMES = zoo.list_models()
WITH_HEAD_WIDTH = [name for name in NAMES if "head_width" in zoo.network_options(name)]
TOTAL_STRIDES = (32, 16, 8, 4, 2)


def small(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return zoo.create(name, **{"width": 0.25, "classes": 10, **options})


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in network.state_dict().items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 8), (32, 32), (33, 47), (224, 224)])
def test_outputs_are_finite_logits_at_any_input_size(name, size):
    network = small(name).eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 3, *size))
    assert logits.shape == (1, 10)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_receives_a_gradient(name):
    network = small(name, dropout=0.0, total_stride=4).train()
    network(torch.randn(4, 3, 16, 16)).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("in_channels", [1, 4])
def test_takes_images_of_any_channel_count(name, in_channels):
    network = small(name, in_channels=in_channels).eval()
    assert network(torch.randn(2, in_channels, 16, 16)).shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("total", TOTAL_STRIDES)
def test_total_stride_sets_the_output_map_and_keeps_every_weight(name, total):
    network, reference = small(name, total_stride=total).eval(), small(name)
    with torch.no_grad():
        features = network.features(torch.randn(1, 3, 32, 32))
    assert features.shape[2:] == (32 // total, 32 // total)
    assert shapes(network) == shapes(reference)
    network.load_state_dict(reference.state_dict())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [0.01, 0.1, 0.35, 1.3])
def test_widths_from_tiny_to_large_build_and_run(name, width):
    network = zoo.create(name, width=width, classes=2, total_stride=8).eval()
    assert min(conv.out_channels for conv in network.modules() if isinstance(conv, nn.Conv2d)) >= 8
    with torch.no_grad():
        assert network(torch.randn(1, 3, 16, 16)).shape == (1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_features_and_classifier_stand_alone_for_transfer(name):
    network = small(name).eval()
    images = torch.randn(2, 3, 32, 32)
    pooled = network.features(images).mean((2, 3))
    torch.testing.assert_close(network.classifier(pooled), network(images))


@pytest.mark.parametrize("name", NAMES)
def test_reset_classifier_changes_the_last_layer_only(name):
    network = small(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.reset_classifier(3)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    last = len(network.classifier) - 1
    assert changed == {f"classifier.{last}.weight", f"classifier.{last}.bias"}
    assert network.eval()(torch.randn(1, 3, 16, 16)).shape == (1, 3)


def test_reset_classifier_refuses_a_classifier_without_a_linear_layer_at_its_end():
    network = small("mobilenet_v1")
    network.classifier.append(nn.Softmax(1))
    with pytest.raises(TypeError, match="Softmax"):
        network.reset_classifier(3)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_only(name):
    network = small(name, dropout=0.9)
    assert [part.p for part in network.modules() if isinstance(part, nn.Dropout)] == [0.9]
    network.eval()
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(network(images), network(images))


@pytest.mark.parametrize("name", WITH_HEAD_WIDTH)
def test_head_width_sets_the_input_of_the_last_layer(name):
    network = small(name, head_width=40)
    assert network.classifier[-1].in_features == 40
    assert network.eval()(torch.randn(1, 3, 16, 16)).shape == (1, 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights(name):
    first, second = small(name).state_dict(), small(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def constants(name: str) -> set[tuple[float, float]]:
    return {(part.eps, round(part.momentum, 6)) for part in small(name).modules() if isinstance(part, nn.BatchNorm2d)}


def test_batch_norm_constants_are_the_references():
    assert constants("mobilenet_v1") == {(1e-3, 3e-4)}
    assert constants("mobilenet_v2") == {(1e-3, 3e-3)}
    assert constants("mobilenet_v3_small") == constants("mobilenet_v3_large_minimalistic") == {(1e-3, 0.01)}
