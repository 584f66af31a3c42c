"""The layer tables of the papers, read back from the built networks."""

import pytest
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.layers import ConvNormAct, InvertedResidual, SqueezeExcite

# kernel, expanded, out, squeeze-and-excite's hidden width, activation, stride: MobileNetV3, Tables 1 and 2
LARGE = """
3 16 16 - ReLU 1 / 3 64 24 - ReLU 2 / 3 72 24 - ReLU 1 / 5 72 40 24 ReLU 2 / 5 120 40 32 ReLU 1 / 5 120 40 32 ReLU 1 /
3 240 80 - Hardswish 2 / 3 200 80 - Hardswish 1 / 3 184 80 - Hardswish 1 / 3 184 80 - Hardswish 1 /
3 480 112 120 Hardswish 1 / 3 672 112 168 Hardswish 1 / 5 672 160 168 Hardswish 2 / 5 960 160 240 Hardswish 1 /
5 960 160 240 Hardswish 1"""
SMALL = """
3 16 16 8 ReLU 2 / 3 72 24 - ReLU 2 / 3 88 24 - ReLU 1 / 5 96 40 24 Hardswish 2 / 5 240 40 64 Hardswish 1 /
5 240 40 64 Hardswish 1 / 5 120 48 32 Hardswish 1 / 5 144 48 40 Hardswish 1 / 5 288 96 72 Hardswish 2 /
5 576 96 144 Hardswish 1 / 5 576 96 144 Hardswish 1"""


def row_of(block: InvertedResidual) -> str:
    conv = block.depthwise.conv
    hidden = [part.reduce.out_channels for part in block.modules() if isinstance(part, SqueezeExcite)]
    activation = type(block.depthwise.act).__name__
    out = block.project.conv.out_channels
    return (
        f"{conv.kernel_size[0]} {conv.out_channels} {out} {hidden[0] if hidden else '-'} {activation} {conv.stride[0]}"
    )


def rows_of(name: str) -> list[str]:
    return [row_of(part) for part in zoo.create(name).features if isinstance(part, InvertedResidual)]


@pytest.mark.parametrize(("name", "table"), [("mobilenet_v3_large", LARGE), ("mobilenet_v3_small", SMALL)])
def test_mobilenet_v3_is_its_table(name, table):
    assert rows_of(name) == [" ".join(row.split()) for row in table.split("/")]


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_the_minimalistic_form_has_the_same_widths_and_none_of_the_slow_operators(name):
    full, minimalistic = rows_of(name), rows_of(f"{name}_minimalistic")
    for row, plain in zip(full, minimalistic, strict=True):
        _, expanded, out, _, _, stride = row.split()
        assert plain == f"3 {expanded} {out} - ReLU {stride}"
    kinds = {type(part) for part in zoo.create(f"{name}_minimalistic").modules()}
    assert not kinds & {nn.Hardswish, nn.Hardsigmoid, SqueezeExcite}


def test_mobilenet_v2_is_its_table():
    network = zoo.create("mobilenet_v2")
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    expected, channels = [], 32
    for expansion, out, repeats, stride in table:
        for repeat in range(repeats):
            first = repeat == 0
            expected.append(f"3 {channels * expansion} {out} - ReLU6 {stride if first else 1}")
            channels = out
    blocks = [part for part in network.features if isinstance(part, InvertedResidual)]
    assert [row_of(block) for block in blocks] == expected
    assert [number for number, block in enumerate(blocks, 1) if block.residual] == [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]


@pytest.mark.parametrize(("width", "last"), [(0.35, 1280), (1.0, 1280), (1.3, 1664), (1.4, 1792)])
def test_the_last_convolution_of_mobilenet_v2_grows_but_does_not_shrink(width, last):
    assert zoo.create("mobilenet_v2", width=width).classifier[-1].in_features == last


def test_the_head_of_mobilenet_v3_keeps_its_width():
    assert zoo.create("mobilenet_v3_large", width=0.75).classifier[-1].in_features == 1280
    assert zoo.create("mobilenet_v3_small", width=1.25).classifier[-1].in_features == 1024


def test_mobilenet_v1_is_its_table():
    features = zoo.create("mobilenet_v1", width=0.5).features
    strides = [block.depthwise.conv.stride[0] for block in features[1:]]
    assert strides == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    widths = [block.pointwise.conv.out_channels for block in features[1:]]
    assert widths == [32, 64, 64, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512]
    units = [part for part in features.modules() if isinstance(part, ConvNormAct)]
    assert len(units) == 1 + 2 * 13
    assert all(isinstance(unit.act, nn.ReLU6) for unit in units)


def test_widths_of_mobilenet_v1_are_not_rounded_to_eight():
    features = zoo.create("mobilenet_v1", width=0.3).features
    assert features.stem.conv.out_channels == 9
    assert features.block1.pointwise.conv.out_channels == 19
