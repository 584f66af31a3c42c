"""ShiftNet's stages, read back from the built networks."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError

# out, repeats, kernel, expansion of the first module and of the others
A = [(64, 5, 5, 4, 4), (128, 6, 5, 4, 3), (256, 7, 3, 3, 2), (512, 3, 3, 2, 1)]
B = [(32, 5, 5, 4, 4), (64, 6, 5, 4, 3), (128, 7, 3, 3, 2), (256, 3, 3, 2, 1)]
C = [(32, 1, 3, 1, 1), (64, 4, 3, 1, 1), (128, 4, 3, 1, 1), (256, 3, 3, 1, 1)]


@pytest.mark.parametrize(
    ("name", "stem", "table", "strided"), [("a", 32, A, "concat"), ("b", 16, B, "concat"), ("c", 32, C, "replace")]
)
def test_shiftnet_is_its_table(name, stem, table, strided):
    with torch.device("meta"):
        features = zoo.create(f"shiftnet_{name}").features
        x = features.stem(torch.empty(1, 3, 224, 224))
        assert x.shape == (1, stem, 112, 112)
        for number, (out, repeats, kernel, first, rest) in enumerate(table, start=1):
            stage = features.get_submodule(f"stage{number}")
            x = stage(x)
            assert x.shape == (1, out, 112 >> number, 112 >> number)
            assert [module.join for module in stage] == [strided, *["add"] * (repeats - 1)]
            assert [module.branch.project.stride[0] for module in stage] == [2, *[1] * (repeats - 1)]
            ratios = [m.branch.expand.out_channels // m.branch.project.out_channels for m in stage]
            assert ratios == [first, *[rest] * (repeats - 1)]
            assert {max(module.branch.shift.down) for module in stage} == {kernel // 2}


@pytest.mark.parametrize(("depth", "units"), [(20, 3), (56, 9), (110, 18)])
def test_shiftresnet_has_three_stages_of_equal_depth(depth, units):
    with torch.device("meta"):
        features = zoo.create("shiftresnet", depth=depth, expansion=2).features
    for number, width in enumerate((16, 32, 64), start=1):
        stage = features.get_submodule(f"stage{number}")
        assert len(stage) == units
        assert {unit.branch.project.conv.out_channels for unit in stage} == {width}
        assert {unit.branch.expand.conv.out_channels for unit in stage} == {2 * width}
        assert all(isinstance(unit.shortcut, nn.Identity) for unit in stage[1:])
    with pytest.raises(UsageError, match=r"6 n \+ 2, .* not 21"):
        zoo.create("shiftresnet", depth=21)
