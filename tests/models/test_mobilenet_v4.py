"""MobileNetV4's layer tables (authors' code), read back from the built networks."""

import pytest
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.layers import ConvNormAct, FusedInvertedBottleneck, UniversalInvertedBottleneck

# conv kernel,stride,out; fused stride,expanded,out; uib start,middle,stride,expanded,out
SMALL = """conv 3,2,32; conv 1,1,32; conv 3,2,96; conv 1,1,64; uib 5,5,2,192,96; uib 0,3,1,192,96; uib 0,3,1,192,96;
uib 0,3,1,192,96; uib 0,3,1,192,96; uib 3,0,1,384,96; uib 3,3,2,576,128; uib 5,5,1,512,128; uib 0,5,1,512,128;
uib 0,5,1,384,128; uib 0,3,1,512,128; uib 0,3,1,512,128; conv 1,1,960"""
MEDIUM = """fused 2,128,48; uib 3,5,2,192,80; uib 3,3,1,160,80; uib 3,5,2,480,160; uib 3,3,1,640,160; uib 3,3,1,640,160;
uib 3,5,1,640,160; uib 3,3,1,640,160; uib 3,0,1,640,160; uib 0,0,1,320,160; uib 3,0,1,640,160; uib 5,5,2,960,256;
uib 5,5,1,1024,256; uib 3,5,1,1024,256; uib 3,5,1,1024,256; uib 0,0,1,1024,256; uib 3,0,1,1024,256; uib 3,5,1,512,256;
uib 5,5,1,1024,256; uib 0,0,1,1024,256; uib 0,0,1,1024,256; uib 5,0,1,512,256; conv 1,1,960"""


def kernel(block: nn.Module, part: str) -> int:
    return block.get_submodule(part).conv.kernel_size[0] if part in dict(block.named_children()) else 0


def row_of(block: nn.Module) -> str:
    convolutions = [part for part in block.modules() if isinstance(part, nn.Conv2d)]
    stride, last = max(conv.stride[0] for conv in convolutions), convolutions[-1]
    if isinstance(block, ConvNormAct):
        return f"conv {last.kernel_size[0]},{stride},{last.out_channels}"
    if isinstance(block, FusedInvertedBottleneck):
        return f"fused {stride},{last.in_channels},{last.out_channels}"
    assert isinstance(block, UniversalInvertedBottleneck)
    return f"uib {kernel(block, 'start')},{kernel(block, 'middle')},{stride},{last.in_channels},{last.out_channels}"


@pytest.mark.parametrize(("name", "table"), [("small", SMALL), ("medium", MEDIUM)])
def test_blocks_are_those_of_the_table(name, table):
    stem, *blocks = zoo.create(f"mobilenet_v4_conv_{name}").features
    assert row_of(stem) == "conv 3,2,32"
    assert [row_of(block) for block in blocks] == " ".join(table.split()).split("; ")


def test_the_head_comes_after_the_mean_and_has_a_batch_norm():
    first, norm, act, dropout, last = zoo.create("mobilenet_v4_conv_small", classes=7).classifier
    assert (first.in_features, first.out_features, first.bias) == (960, 1280, None)
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(act, nn.ReLU)
    assert (dropout.p, last.in_features, last.out_features) == (0.2, 1280, 7)


def test_the_stem_is_widened_but_not_narrowed():
    widths = {
        width: zoo.create("mobilenet_v4_conv_small", width=width).features.stem.conv.out_channels
        for width in (0.35, 1.5)
    }
    assert widths == {0.35: 32, 1.5: 48}
