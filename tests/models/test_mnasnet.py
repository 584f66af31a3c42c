"""The block lists of MnasNet and EfficientNet-Lite, read back from the built networks."""

import pytest
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError
from pocketcnn.layers import Conv2dSame, InvertedResidual, SqueezeExcite

# repeats, kernel, stride of the first, expansion, out, hidden width of squeeze-and-excite (of the first and the others)
A1 = "1 3 1 1 16 / 2 3 2 6 24 / 3 5 2 3 40 6,10 / 4 3 2 6 80 / 2 3 1 6 112 20,28 / 3 5 2 6 160 28,40 / 1 3 1 6 320"
B1 = "1 3 1 1 16 / 3 3 2 3 24 / 3 5 2 3 40 / 3 5 2 6 80 / 2 3 1 6 96 / 4 5 2 6 192 / 1 3 1 6 320"
SMALL = "1 3 1 1 8 / 1 3 2 3 16 / 2 3 2 6 16 / 4 5 2 6 32 4,8 / 3 3 1 6 32 8,8 / 3 5 2 6 88 8,22 / 1 3 1 6 144"
LITE0 = "1 3 1 1 16 / 2 3 2 6 24 / 2 5 2 6 40 / 3 3 2 6 80 / 3 5 1 6 112 / 4 5 2 6 192 / 1 3 1 6 320"
LITE4 = "1 3 1 1 24 / 4 3 2 6 32 / 4 5 2 6 56 / 6 3 2 6 112 / 6 5 1 6 160 / 8 5 2 6 272 / 1 3 1 6 448"


def expected_blocks(table: str, stem: int) -> list[tuple[int, ...]]:
    blocks, channels = [], stem
    for stage in table.split("/"):
        repeats, kernel, stride, expansion, out = map(int, stage.split()[:5])
        hidden = [int(width) for width in stage.split()[5].split(",")] if len(stage.split()) > 5 else [0, 0]
        for repeat in range(repeats):
            first = repeat == 0
            blocks.append(
                (kernel, stride if first else 1, channels * expansion, out, hidden[0] if first else hidden[1])
            )
            channels = out
    return blocks


def blocks_of(network: nn.Module) -> list[tuple[int, ...]]:
    found = []
    for block in (part for part in network.features if isinstance(part, InvertedResidual)):
        conv = block.depthwise.conv
        hidden = [part.reduce.out_channels for part in block.modules() if isinstance(part, SqueezeExcite)] or [0]
        found.append(
            (conv.kernel_size[0], conv.stride[0], conv.out_channels, block.project.conv.out_channels, hidden[0])
        )
    return found


@pytest.mark.parametrize(
    ("name", "table", "stem"),
    [
        ("mnasnet_a1", A1, 32),
        ("mnasnet_b1", B1, 32),
        ("mnasnet_small", SMALL, 8),
        ("efficientnet_lite0", LITE0, 32),
        ("efficientnet_lite4", LITE4, 32),
    ],
)
def test_blocks_are_those_of_the_table(name, table, stem):
    network = zoo.create(name)
    assert network.features.stem.conv.out_channels == stem
    assert blocks_of(network) == expected_blocks(table, stem)
    assert network.features.last.conv.out_channels == 1280


def test_the_first_block_of_a1_adds_nothing_even_where_the_shapes_allow_it():
    network = zoo.create("mnasnet_a1", width=0.25)
    assert network.features.stem.conv.out_channels == network.features.block1.project.conv.out_channels == 8
    assert not network.features.block1.residual
    assert zoo.create("mnasnet_small").features.block1.residual


def test_activations_and_gates():
    kinds = {type(part) for part in zoo.create("mnasnet_a1", width=0.35).modules()}
    assert {nn.ReLU, nn.Sigmoid} <= kinds
    assert not kinds & {nn.ReLU6, nn.Hardsigmoid}
    kinds = {type(part) for part in zoo.create("efficientnet_lite0", width=0.35).modules()}
    assert nn.ReLU6 in kinds
    assert not kinds & {nn.ReLU, SqueezeExcite}


def test_the_padding_of_tensorflow_is_an_option_of_efficientnet_lite():
    plain, same = (zoo.create("efficientnet_lite0", width=0.25, padding=kind) for kind in ("symmetric", "same"))
    strided = [part for part in same.modules() if isinstance(part, nn.Conv2d) and part.stride == (2, 2)]
    assert {type(conv) for conv in strided} == {Conv2dSame}
    assert not any(isinstance(part, Conv2dSame) for part in plain.modules())
    with pytest.raises(UsageError, match="padding must be 'symmetric' or 'same', not 'valid'"):
        zoo.create("efficientnet_lite0", padding="valid")
