"""The layer tables of the ShuffleNet papers, read back from the built networks."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError
from pocketcnn.layers import ShuffleV2Unit

V1 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # groups -> channels of the first stage
V2 = {0.5: (48, 96, 192, 1024), 1.0: (116, 232, 464, 1024), 1.5: (176, 352, 704, 1024), 2.0: (244, 488, 976, 2048)}


@pytest.mark.parametrize(("groups", "out"), V1.items())
def test_shufflenet_v1_is_its_table(groups, out):
    with torch.device("meta"):
        features, x = zoo.create("shufflenet_v1", groups=groups).features, torch.empty(1, 3, 224, 224)
        for layer, channels, side in [("stem", 24, 112), ("pool", 24, 56)]:
            x = features.get_submodule(layer)(x)
            assert x.shape == (1, channels, side, side)
        for layer, side, repeats, widening in [("stage2", 28, 4, 1), ("stage3", 14, 8, 2), ("stage4", 7, 4, 4)]:
            stage = features.get_submodule(layer)
            x = stage(x)
            assert x.shape == (1, widening * out, side, side)
            assert [unit.concat for unit in stage] == [True, *[False] * (repeats - 1)]
            assert {unit.reduce.conv.out_channels for unit in stage} == {widening * out // 4}
            assert {unit.expand.conv.groups for unit in stage} == {groups}
            ungrouped_first = layer == "stage2"
            assert [unit.reduce.conv.groups for unit in stage] == [
                1 if ungrouped_first else groups,
                *[groups] * (repeats - 1),
            ]


@pytest.mark.parametrize("groups", V1)
@pytest.mark.parametrize("width", [0.05, 0.4, 0.75, 1.3, 2.7])
def test_shufflenet_v1_has_any_width_in_any_number_of_groups(width, groups):
    with torch.device("meta"):  # a convolution whose channels the groups do not divide cannot be built
        last = zoo.create("shufflenet_v1", width=width, groups=groups).classifier[-1]
    assert last.in_features % (16 * groups) == 0


def test_shufflenet_v1_names_the_numbers_of_groups_that_it_has():
    with pytest.raises(UsageError, match="1, 2, 3, 4, 8 groups, not 5"):
        zoo.create("shufflenet_v1", groups=5)


def test_the_authors_weights_have_no_bias_in_the_classifier():
    assert zoo.create("shufflenet_v1", width=0.25, classifier_bias=False).classifier[-1].bias is None


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


@pytest.mark.parametrize("name", ["shufflenet_v1", "shufflenet_v2"])
@pytest.mark.parametrize(("total", "stem_stride", "pooled"), [(32, 2, True), (16, 1, True), (8, 1, False)])
def test_small_images_lose_the_stem_s_stride_first_then_the_pooling(name, total, stem_stride, pooled):
    features = zoo.create(name, total_stride=total).features
    assert features.stem.conv.stride == (stem_stride, stem_stride)
    assert any(isinstance(part, nn.MaxPool2d) for part in features) is pooled
