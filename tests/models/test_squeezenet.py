"""Table 1 of the SqueezeNet paper, read back from the built networks, and the map sizes that it prints."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.layers import Fire

# squeeze and expand of the Fire modules; "/" a max pooling
V1_0 = "96 / 16,64 16,64 32,128 / 32,128 48,192 48,192 64,256 / 64,256"
V1_1 = "64 / 16,64 16,64 / 32,128 32,128 / 48,192 48,192 64,256 64,256"


def description(layer: nn.Module) -> str:
    if isinstance(layer, Fire):
        return f"{layer.squeeze.out_channels},{layer.expand1x1.out_channels}"
    return str(layer.out_channels) if isinstance(layer, nn.Conv2d) else "/"


@pytest.mark.parametrize(("name", "table"), [("squeezenet1_0", V1_0), ("squeezenet1_1", V1_1)])
def test_squeezenet_is_its_table(name, table):
    layers = [part for part in zoo.create(name).features if not isinstance(part, nn.ReLU)]
    assert " ".join(map(description, layers)) == table


def test_maps_have_the_paper_s_sizes():
    with torch.device("meta"):
        features, x = zoo.create("squeezenet1_0").features, torch.empty(1, 3, 227, 227)
    sizes = {}
    for name, layer in features.named_children():
        x = layer(x)
        sizes[name] = x.shape[-1]
    expected = {"stem": 111, "pool1": 55, "fire4": 55, "pool4": 27, "fire8": 27, "pool8": 13, "fire9": 13}
    assert {name: sizes[name] for name in expected} == expected


def test_small_images_lose_the_stem_s_stride_first_then_the_earliest_pooling():
    features = zoo.create("squeezenet1_1", total_stride=4).features
    assert features.stem.stride == (1, 1)
    assert [name for name, part in features.named_children() if isinstance(part, nn.MaxPool2d)] == ["pool3", "pool5"]


def test_every_position_is_classified_and_the_scores_are_averaged():
    network = zoo.create("squeezenet1_1", classes=4).eval()
    images = torch.randn(2, 3, 49, 33)
    scores = network.classifier(network.features(images))
    assert scores.shape == (2, 4, 3, 2)
    torch.testing.assert_close(network(images), scores.mean((2, 3)))
