"""Each block beside plain torch functions for its numbers, and beside its docstring's formula for its MAdds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.errors import UsageError
from pocketcnn.layers import ConvNormAct, DepthwiseSeparable, InvertedResidual, SqueezeExcite
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady

KERNELS = st.sampled_from([1, 3, 5, 7])


def conv_norm(x: torch.Tensor, unit: ConvNormAct, *, stride: int = 1, groups: int = 1) -> torch.Tensor:
    """Convolution and normalisation written out."""
    weight, norm = unit.conv.weight, unit.norm
    y = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    mean, var, gamma, beta = (v[:, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    return (y - mean) / torch.sqrt(var + norm.eps) * gamma + beta


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, st.integers(1, 4), KERNELS, STRIDES)
def test_conv_norm_act_costs_its_formula(h, w, m, n, g, k, stride):
    m, n = m * g, n * g
    h_out, w_out = halved(h, stride), halved(w, stride)
    block = ConvNormAct(m, n, k, stride=stride, groups=g)
    assert madds(block, m, h, w) == h_out * w_out * n * k**2 * m // g


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, KERNELS, STRIDES)
def test_depthwise_separable_costs_its_formula(h, w, m, n, k, stride):
    area = halved(h, stride) * halved(w, stride)
    block = DepthwiseSeparable(m, n, k, stride=stride)
    assert madds(block, m, h, w) == area * k**2 * m + area * m * n


@steady
@given(SIDES, WIDTHS, WIDTHS)
def test_squeeze_excite_costs_its_formula_at_any_size(side, channels, hidden):
    assert madds(SqueezeExcite(channels, hidden), channels, side, side) == 2 * channels * hidden


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, WIDTHS, KERNELS, STRIDES, st.none() | WIDTHS)
def test_inverted_residual_costs_its_formula(h, w, m, n, e, k, stride, r):
    area, area_out = h * w, halved(h, stride) * halved(w, stride)
    expected = (area * m * e if e != m else 0) + area_out * k**2 * e + 2 * e * (r or 0) + area_out * e * n
    block = InvertedResidual(m, n, expanded=e, kernel=k, stride=stride, squeeze=r)
    assert madds(block, m, h, w) == expected


@pytest.mark.parametrize(("activation", "function"), [("relu6", F.relu6), ("hardswish", F.hardswish), (None, None)])
def test_conv_norm_act_equals_plain_torch(activation, function):
    torch.manual_seed(0)
    block = randomised(ConvNormAct(6, 9, 5, stride=2, groups=3, activation=activation))
    x = torch.randn(2, 6, 11, 8)
    expected = conv_norm(x, block, stride=2, groups=3)
    torch.testing.assert_close(block(x), function(expected) if function else expected)


def test_depthwise_separable_equals_plain_torch():
    torch.manual_seed(1)
    block = randomised(DepthwiseSeparable(4, 7, stride=2))
    x = torch.randn(2, 4, 9, 9)
    filtered = F.relu6(conv_norm(x, block.depthwise, stride=2, groups=4))
    torch.testing.assert_close(block(x), F.relu6(conv_norm(filtered, block.pointwise)))


@pytest.mark.parametrize(("gate", "function"), [("sigmoid", torch.sigmoid), ("hardsigmoid", F.hardsigmoid)])
def test_squeeze_excite_equals_plain_torch(gate, function):
    torch.manual_seed(2)
    block = SqueezeExcite(6, 3, gate=gate)
    x = torch.randn(2, 6, 5, 4)
    hidden = F.relu(x.mean((2, 3)) @ block.reduce.weight[:, :, 0, 0].T + block.reduce.bias)
    weights = function(hidden @ block.expand.weight[:, :, 0, 0].T + block.expand.bias)
    torch.testing.assert_close(block(x), x * weights[:, :, None, None])


@pytest.mark.parametrize(
    ("out", "stride", "residual", "added"),
    [(4, 1, True, True), (4, 1, False, False), (4, 2, True, False), (5, 1, True, False)],
)
def test_inverted_residual_equals_plain_torch_and_adds_its_input_where_shapes_allow(out, stride, residual, added):
    torch.manual_seed(3)
    block = randomised(
        InvertedResidual(4, out, expanded=12, stride=stride, squeeze=3, activation="relu", residual=residual)
    )
    x = torch.randn(2, 4, 7, 7)
    y = F.relu(conv_norm(x, block.expand))
    y = F.relu(conv_norm(y, block.depthwise, stride=stride, groups=12))
    y = conv_norm(block.squeeze_excite(y), block.project)  # no activation: the bottleneck is linear
    torch.testing.assert_close(block(x), x + y if added else y)


def test_without_expansion_there_is_no_expanding_convolution():
    block = InvertedResidual(8, 4, expanded=8)
    assert [name for name, _ in block.named_children()] == ["depthwise", "project"]


def test_a_block_refuses_an_unknown_activation():
    with pytest.raises(UsageError, match="gelu"):
        ConvNormAct(3, 3, activation="gelu")
