"""Table 1 of the ResNet paper, read back from the built networks."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError
from pocketcnn.layers import BasicUnit, BottleneckUnit

REPEATS = {"resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3], "resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3]}


@pytest.mark.parametrize(("name", "repeats"), REPEATS.items())
def test_stages_have_the_repeats_widths_and_map_sizes_of_the_table(name, repeats):
    kind, widening = (BasicUnit, 1) if name in ("resnet18", "resnet34") else (BottleneckUnit, 4)
    with torch.device("meta"):
        features, x = zoo.create(name).features, torch.empty(1, 3, 224, 224)
        sizes = {layer: (x := part(x)).shape[1:] for layer, part in features.named_children()}
    assert sizes["stem"] == (64, 112, 112)
    assert sizes["pool"] == (64, 56, 56)
    for number, (units, width, side) in enumerate(zip(repeats, [64, 128, 256, 512], [56, 28, 14, 7], strict=True), 2):
        stage = features.get_submodule(f"stage{number}")
        assert [type(unit) for unit in stage] == [kind] * units
        assert sizes[f"stage{number}"] == (width * widening, side, side)
        assert all(isinstance(unit.shortcut, nn.Identity) for unit in stage[1:])


def test_the_versions_differ_in_where_the_stride_is():
    strides = {}
    for version in ("v1", "v1.5"):
        branch = zoo.create("resnet50", version=version).features.stage3[0].branch
        strides[version] = [part.conv.stride[0] for part in branch]
    assert strides == {"v1": [2, 1, 1], "v1.5": [1, 2, 1]}
    with pytest.raises(UsageError, match=r"version must be 'v1' or 'v1\.5', not 'v2'"):
        zoo.create("resnet50", version="v2")


def test_small_images_lose_the_stem_s_stride_then_the_pooling_then_a_stage_s():
    features = zoo.create("resnet18", total_stride=4).features
    assert features.stem.conv.stride == (1, 1)
    assert not any(isinstance(part, nn.MaxPool2d) for part in features)
    strides = [getattr(features, f"stage{number}")[0].branch.conv1.conv.stride[0] for number in range(2, 6)]
    assert strides == [1, 1, 2, 2]
