"""AlexNet's and VGG's layer tables, read back from the built networks."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError

# out,kernel,stride,padding,groups; "/" a max pooling
ALEXNET = {
    1: "64,11,4,2,1 / 192,5,1,2,1 / 384,3,1,1,1 256,3,1,1,1 256,3,1,1,1 /",
    2: "96,11,4,0,1 / 256,5,1,2,2 / 384,3,1,1,1 384,3,1,1,2 256,3,1,1,2 /",
}
VGG = {
    11: "64 / 128 / 256 256 / 512 512 / 512 512 /",
    13: "64 64 / 128 128 / 256 256 / 512 512 / 512 512 /",
    16: "64 64 / 128 128 / 256 256 256 / 512 512 512 / 512 512 512 /",
    19: "64 64 / 128 128 / 256 256 256 256 / 512 512 512 512 / 512 512 512 512 /",
}


def build(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return zoo.create(name, **options)


def parts_of(network: nn.Module) -> list[nn.Module]:
    return [part for part in network.features if isinstance(part, nn.Conv2d | nn.MaxPool2d)]


def alexnet_row(part: nn.Module) -> str:
    if isinstance(part, nn.MaxPool2d):
        assert (part.kernel_size, part.stride) == (3, 2)
        return "/"
    return f"{part.out_channels},{part.kernel_size[0]},{part.stride[0]},{part.padding[0]},{part.groups}"


@pytest.mark.parametrize(("groups", "side"), [(1, 224), (2, 227)])
def test_alexnet_is_its_table_and_its_maps_have_the_paper_s_sizes(groups, side):
    network = build("alexnet", groups=groups)
    assert " ".join(map(alexnet_row, parts_of(network))) == ALEXNET[groups]
    x, sizes = torch.empty(1, 3, side, side, device="meta"), []
    for part in network.features:
        x = part(x)
        sizes.append(x.shape[-1])
    assert sorted(set(sizes), reverse=True) == [55, 27, 13, 6]
    widths = [part.in_features for part in network.classifier if isinstance(part, nn.Linear)]
    assert widths == [9216, 4096, 4096]


def test_biases_of_alexnet_start_at_one_where_the_paper_has_it():
    network = zoo.create("alexnet", head_width=8)
    ones = {key for key, value in network.named_parameters() if key.endswith("bias") and (value == 1).all()}
    assert ones == {
        f"{name}.bias"
        for name in ("features.conv2", "features.conv4", "features.conv5", "classifier.1", "classifier.4")
    }
    assert not network.features.conv1.bias.any()


def test_the_normalisation_of_the_2012_paper_is_an_option():
    torch.manual_seed(0)
    network = zoo.create("alexnet", groups=2, local_response_norm=True, head_width=8).eval()
    kinds = [type(part).__name__ for part in network.features]
    assert kinds[:8] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2
    a = torch.rand(1, 9, 1, 1)
    squares = torch.nn.functional.pad(a.flatten() ** 2, (2, 2)).unfold(0, 5, 1).sum(1)
    expected = a.flatten() / (2 + 1e-4 * squares) ** 0.75  # section 3.3
    torch.testing.assert_close(network.features.norm1(a).flatten(), expected)


def test_alexnet_has_one_or_two_groups():
    with pytest.raises(UsageError, match="1 or 2 groups, not 4"):
        zoo.create("alexnet", groups=4)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("depth", "table"), VGG.items())
def test_vgg_is_its_table(depth, table, batch_norm):
    network = build(f"vgg{depth}{'_bn' if batch_norm else ''}")
    parts = parts_of(network)
    assert " ".join(str(part.out_channels) if isinstance(part, nn.Conv2d) else "/" for part in parts) == table
    convolutions = [part for part in parts if isinstance(part, nn.Conv2d)]
    assert all(conv.kernel_size == (3, 3) and conv.padding == (1, 1) and conv.bias is not None for conv in convolutions)
    linear = [part for part in network.classifier if isinstance(part, nn.Linear)]
    assert len(convolutions) + len(linear) == depth
    assert sum(isinstance(part, nn.BatchNorm2d) for part in network.features) == len(convolutions) * batch_norm
    assert [part.in_features for part in linear] == [25088, 4096, 4096]
