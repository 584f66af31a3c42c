"""Learned group convolution beside the loops of its definition, and its condensed form beside the masked one."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.layers import (
    DenseLayer,
    LearnedGroupConv,
    LearnedGroupLayer,
    LearnedGroupLinear,
    condensed_layer,
    condensed_linear,
    group_lasso,
    set_progress,
)
from tests.support.layers import SIDES, madds, randomised, steady

GROUPS = st.sampled_from([1, 2, 4, 8])


def learned(inputs: int = 16, out: int = 8, groups: int = 4, condense_factor: int = 4) -> LearnedGroupLayer:
    torch.manual_seed(0)
    layer = LearnedGroupLayer(inputs, out, groups=groups, condense_factor=condense_factor)
    nn.init.normal_(layer.conv.weight)
    return layer


def by_definition(weight: torch.Tensor, groups: int, condense_factor: int) -> torch.Tensor:
    """The final mask (N, M): stage after stage each group loses the M / C inputs of the smallest L1 norm."""
    mask = torch.ones_like(weight, dtype=torch.bool)
    for _ in range(condense_factor - 1):
        for group in range(groups):
            norms = {j: float(weight[group::groups, j].abs().sum()) for j in range(weight.shape[1]) if mask[group, j]}
            for j in sorted(norms, key=norms.__getitem__)[: weight.shape[1] // condense_factor]:
                mask[group::groups, j] = False
    return mask


@steady
@given(GROUPS, GROUPS, st.integers(1, 3), st.integers(1, 3))
def test_what_is_left_is_what_the_definition_leaves(groups, condense_factor, inputs, out):
    layer = learned(8 * inputs, 8 * out, groups, condense_factor)
    weight = layer.conv.weight.detach().clone()
    set_progress(layer, 0.5)
    expected = weight[:, :, 0, 0] * by_definition(weight[:, :, 0, 0], groups, condense_factor)
    assert torch.equal(layer.eval().conv.weight[:, :, 0, 0], expected)


@steady
@given(GROUPS, GROUPS, st.integers(1, 3), st.integers(1, 3))
def test_the_condensed_layer_computes_the_same(groups, condense_factor, inputs, out):
    layer = randomised(learned(8 * inputs, 8 * out, groups, condense_factor))
    set_progress(layer, 1.0)
    x = torch.randn(2, 8 * inputs, 3, 3)
    condensed = condensed_layer(layer)
    assert condensed.conv.groups == groups
    assert condensed.conv.weight.shape == (8 * out, 8 * inputs // condense_factor, 1, 1)
    torch.testing.assert_close(condensed(x), layer(x))


@steady
@given(SIDES, GROUPS, GROUPS, st.integers(1, 3), st.booleans())
def test_a_dense_layer_costs_its_formula(side, groups, condense_factor, inputs, learn):
    m, growth = 8 * inputs, 8
    layer = DenseLayer(m, growth, groups=groups, condense_factor=condense_factor, learn_groups=learn)
    condensed = 1 if learn else condense_factor  # the training form computes with every weight
    assert madds(layer, m, side, side) == side**2 * (m * 4 * growth // condensed + 9 * 4 * growth**2 // groups)


@pytest.mark.parametrize(
    ("progress", "kept"), [(0.0, 16), (0.16, 16), (0.17, 12), (0.33, 12), (0.34, 8), (0.49, 8), (0.5, 4), (1.0, 4)]
)
def test_stages_are_spread_over_the_first_half_of_the_training(progress, kept):
    layer = learned()
    set_progress(layer, progress)
    assert layer.conv.alive.sum(1).tolist() == [kept] * 4


def test_a_stage_happens_once_however_often_it_is_due():
    layer = learned()
    for progress in (0.2, 0.2, 0.25, 0.1):
        set_progress(layer, progress)
    assert int(layer.conv.stage) == 1


def test_group_lasso_is_its_formula_and_ends_with_the_last_stage():
    conv = learned().conv
    weight = conv.weight.detach()[:, :, 0, 0]
    expected = sum(float(weight[group::4, j].norm()) for group in range(4) for j in range(16))
    assert conv.group_lasso().item() == pytest.approx(expected, rel=1e-5)
    set_progress(conv, 0.34)
    group_lasso(conv).backward()
    assert torch.isfinite(conv.weight.grad).all()
    assert not conv.weight.grad[~conv.alive.repeat(2, 1)].any()
    set_progress(conv, 0.5)
    assert conv.group_lasso() == 0
    assert group_lasso(nn.Linear(2, 2)) == 0


def test_dropped_weights_take_no_part_even_after_a_step_of_the_optimizer():
    layer = learned().train()
    set_progress(layer, 0.5)
    with torch.no_grad():
        layer.conv.weight += 1  # as momentum of earlier steps would
    x = torch.randn(2, 16, 3, 3)
    mask = layer.conv.alive.repeat(2, 1)[:, :, None, None]
    expected = F.conv2d(layer.act(layer.norm(x)), layer.conv.weight * mask)
    torch.testing.assert_close(layer(x), expected)
    layer.eval()
    assert not layer.conv.weight[~mask].any()


def test_an_exported_layer_computes_with_the_dropped_weights_at_zero():
    layer = randomised(learned())
    set_progress(layer, 0.34)
    x = torch.randn(2, 16, 3, 3)
    expected = layer(x)
    torch.testing.assert_close(torch.export.export(layer.train().eval(), (x,)).module()(x), expected)


def test_progress_and_masks_are_saved_and_restored():
    layer, restored = learned(), learned()
    set_progress(layer, 0.34)
    restored.load_state_dict(layer.state_dict())
    assert torch.equal(restored.conv.alive, layer.conv.alive)
    set_progress(restored, 0.34)
    assert torch.equal(restored.conv.alive, layer.conv.alive)


def test_a_learned_linear_layer_loses_half_of_its_inputs_in_the_middle_of_the_training():
    torch.manual_seed(0)
    linear, x = LearnedGroupLinear(10, 3), torch.randn(4, 10)
    set_progress(linear, 0.49)
    assert linear.alive.all()
    set_progress(linear, 0.5)
    select, condensed = condensed_linear(linear)
    assert select.index.tolist() == sorted(linear.weight.abs().sum(0).topk(5).indices.tolist())
    torch.testing.assert_close(condensed(select(x)), linear(x))
    torch.testing.assert_close(linear.eval()(x), condensed(select(x)))


def test_a_layer_with_stages_ahead_cannot_be_condensed():
    layer = learned()
    set_progress(layer, 0.4)
    with pytest.raises(UsageError, match=r"Only 2 of 3 condensing stages are done.*set_progress"):
        condensed_layer(layer)
    with pytest.raises(UsageError, match="Only 0 of 1"):
        condensed_linear(LearnedGroupLinear(4, 2))


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(ValueError, match="6 filters and 16 inputs cannot be divided by 4 and 4"):
        LearnedGroupConv(16, 6, groups=4, condense_factor=4)
    with pytest.raises(ValueError, match=r"0 to 1, not 1\.5"):
        set_progress(learned(), 1.5)
