"""The layer tables of the ShuffleNet papers, read back from the built networks."""

import pytest
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.layers import ShuffleV2Unit

V2 = {0.5: (48, 96, 192, 1024), 1.0: (116, 232, 464, 1024), 1.5: (176, 352, 704, 1024), 2.0: (244, 488, 976, 2048)}


@pytest.mark.parametrize(("width", "channels"), V2.items())
def test_shufflenet_v2_is_its_table(width, channels):
    features = zoo.create("shufflenet_v2", width=width).features
    assert (features.stem.conv.out_channels, features.last.conv.out_channels) == (24, channels[-1])
    assert isinstance(features.pool, nn.MaxPool2d)
    stages = (features.stage2, features.stage3, features.stage4)
    for stage, out, repeats in zip(stages, channels[:3], (4, 8, 4), strict=True):
        assert [unit.split for unit in stage] == [False, *[True] * (repeats - 1)]
        assert [unit.branch.depthwise.conv.stride[0] for unit in stage] == [2, *[1] * (repeats - 1)]
        assert {unit.branch.expand.conv.out_channels for unit in stage} == {out // 2}
    assert sum(isinstance(part, ShuffleV2Unit) for part in features.modules()) == 16


def test_widths_between_those_of_the_paper_scale_the_stages_and_keep_the_head():
    network = zoo.create("shufflenet_v2", width=0.25)
    assert network.features.stage2[0].branch.expand.conv.out_channels == 14  # 116 · 0.25 = 29, in steps of 4: 28
    assert network.classifier[-1].in_features == 1024


@pytest.mark.parametrize(("total", "stem_stride", "pooled"), [(32, 2, True), (16, 1, True), (8, 1, False)])
def test_small_images_lose_the_stem_s_stride_first_then_the_pooling(total, stem_stride, pooled):
    features = zoo.create("shufflenet_v2", total_stride=total).features
    assert features.stem.conv.stride == (stem_stride, stem_stride)
    assert any(isinstance(part, nn.MaxPool2d) for part in features) is pooled
