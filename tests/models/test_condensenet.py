"""CondenseNet: its layer tables, and a short training that condenses, beside the network for inference made from it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError
from pocketcnn.layers import DenseLayer, LearnedGroupLinear, group_lasso, set_progress


def layers_of(network: nn.Module, learned: bool) -> list[tuple[int, ...]]:
    """Inputs, bottleneck, growth, groups of each dense layer."""
    layers = [part for part in network.features.modules() if isinstance(part, DenseLayer)]
    return [
        (
            layer.bottleneck.conv.in_channels if learned else len(layer.bottleneck.select.index),
            layer.bottleneck.conv.out_channels,
            layer.spatial[-1].out_channels,
            layer.spatial[-1].groups,
        )
        for layer in layers
    ]


@pytest.mark.parametrize(
    ("name", "options", "repeats", "growth", "groups", "final"),
    [
        ("condensenet_74", {"groups": 4}, [4, 6, 8, 10, 8], [8, 16, 32, 64, 128], 4, 2064),
        ("condensenet_74", {"groups": 8}, [4, 6, 8, 10, 8], [8, 16, 32, 64, 128], 8, 2064),
        ("condensenet_86", {}, [14, 14, 14], [8, 16, 32], 4, 800),
        ("condensenet_86", {"depth": 50}, [8, 8, 8], [8, 16, 32], 4, 464),
        ("condensenet_182", {}, [30, 30, 30], [12, 24, 48], 4, 2544),
    ],
)
def test_condensenet_is_its_table(name, options, repeats, growth, groups, final):
    expected, channels = [], 2 * growth[0]
    for count, k in zip(repeats, growth, strict=True):
        for _ in range(count):
            expected.append((channels, 4 * k, k, groups))
            channels += k
    assert channels == final
    with torch.device("meta"):
        learned, plain = (zoo.create(name, learn_groups=learn, **options) for learn in (True, False))
    assert layers_of(learned, learned=True) == expected
    assert learned.classifier[-1].in_features == final
    assert layers_of(plain, learned=False) == expected  # groups times the inputs of each, which is 1 / C of all
    assert plain.classifier[-1].in_features == final // 2


def test_maps_have_the_paper_s_sizes():
    with torch.device("meta"):
        features, x = zoo.create("condensenet_74").features, torch.empty(1, 3, 224, 224)
        sizes = {name: (x := part(x)).shape[-1] for name, part in features.named_children()}
    assert [sizes[f"block{number}"] for number in range(1, 6)] == [112, 56, 28, 14, 7]


def test_a_training_condenses_and_the_network_for_inference_computes_the_same():
    torch.manual_seed(0)
    network = zoo.create("condensenet_86", depth=14, classes=5, learn_groups=True).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    images, labels = torch.randn(8, 3, 12, 12), torch.randint(5, (8,))
    losses = []
    for step in range(12):
        set_progress(network, step / 12)
        loss = F.cross_entropy(network(images), labels) + 1e-5 * group_lasso(network)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    condensed = network.eval().condensed()
    assert not any(isinstance(part, LearnedGroupLinear) for part in condensed.modules())
    torch.testing.assert_close(condensed(images), network(images), atol=1e-5, rtol=1e-5)
    assert layers_of(network, learned=True) == layers_of(condensed, learned=False)
    again = zoo.create("condensenet_86", depth=14, classes=5)
    again.load_state_dict(condensed.state_dict())
    torch.testing.assert_close(again.eval()(images), condensed(images))


def test_a_network_that_is_not_condensed_yet_says_so_and_is_left_as_it_is():
    network = zoo.create("condensenet_86", depth=14, classes=2, learn_groups=True)
    with pytest.raises(UsageError, match="condensing stages"):
        network.condensed()
    assert isinstance(network.classifier[-1], LearnedGroupLinear)


def test_a_fresh_classifier_of_the_training_form_is_learned_too():
    network = zoo.create("condensenet_86", depth=14, classes=2, learn_groups=True)
    network.reset_classifier(7)
    assert isinstance(network.classifier[-1], LearnedGroupLinear)
    set_progress(network, 0.5)
    assert network.condensed().eval()(torch.randn(1, 3, 8, 8)).shape == (1, 7)


def test_depths_and_groups_that_do_not_exist_are_named():
    with pytest.raises(UsageError, match=r"6 d \+ 2, .* not 51"):
        zoo.create("condensenet_86", depth=51)
    with pytest.raises(UsageError, match="4 or 8 groups, not 2"):
        zoo.create("condensenet_74", groups=2)
