import torch
import torch.nn.functional as F
from hypothesis import given

from pocketcnn.layers import Fire
from tests.support.layers import SIDES, WIDTHS, madds, steady


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, WIDTHS)
def test_costs_its_formula(h, w, m, s, e):
    assert madds(Fire(m, s, e), m, h, w) == h * w * (m * s + s * e + 9 * s * e)


def test_equals_plain_torch():
    torch.manual_seed(0)
    fire, x = Fire(6, 3, 4), torch.randn(2, 6, 5, 7)
    squeezed = F.relu(F.conv2d(x, fire.squeeze.weight, fire.squeeze.bias))
    left = F.relu(F.conv2d(squeezed, fire.expand1x1.weight, fire.expand1x1.bias))
    right = F.relu(F.conv2d(squeezed, fire.expand3x3.weight, fire.expand3x3.bias, padding=1))
    torch.testing.assert_close(fire(x), torch.cat((left, right), dim=1))
