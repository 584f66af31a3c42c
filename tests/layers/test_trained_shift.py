"""A shift that learns its offsets beside `Shift`, and beside bilinear interpolation for its gradient."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import Shift, TrainedShift, reparameterize

IMAGES = torch.randn(2, 20, 7, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 2), (1, 1)])
def test_it_starts_as_the_fixed_shift_in_training_and_at_inference(kernel, dilation):
    shift = TrainedShift(20, kernel, dilation)
    expected = Shift(20, kernel, dilation)(IMAGES)
    for module in (shift.train(), shift.eval(), reparameterize(shift)):
        torch.testing.assert_close(module(IMAGES), expected)


def bilinear(x: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Each channel moved by its own real offset, zeros coming in: torch's own interpolation, channel by channel."""
    height, width = x.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    moved = []
    for channel in range(x.shape[1]):
        grid_x = 2 * (columns - right[channel]) / (width - 1) - 1
        grid_y = 2 * (rows - down[channel]) / (height - 1) - 1
        grid = torch.stack([grid_x, grid_y], dim=-1).expand(len(x), -1, -1, -1)
        moved.append(F.grid_sample(x[:, channel : channel + 1], grid, align_corners=True, padding_mode="zeros"))
    return torch.cat(moved, dim=1)


def test_offsets_learn_as_if_the_shift_interpolated():
    torch.manual_seed(0)
    shift, weight = TrainedShift(20), torch.randn(2, 20, 7, 9)
    with torch.no_grad():
        shift.down.uniform_(-0.99, 0.99)
        shift.right.zero_()  # whole, where the rounded and the interpolated move are one
    (shift(IMAGES) * weight).sum().backward()
    down = shift.down.detach().clone().requires_grad_()
    (bilinear(IMAGES, down, shift.right.detach()) * weight).sum().backward()
    torch.testing.assert_close(shift.down.grad, down.grad, rtol=1e-3, atol=1e-3)
    assert shift.down.grad.abs().min() > 0


def test_offsets_find_the_move_that_made_the_images():
    torch.manual_seed(0)
    shift = TrainedShift(9)
    blurred = torch.randn(16, 9, 24, 24)
    for _ in range(3):  # so smooth that a slope leads somewhere
        blurred = F.avg_pool2d(blurred, 5, 1)
    target = Shift(9)
    target.down, target.right = [1] * 9, [-1] * 9
    optimizer = torch.optim.Adam(shift.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        F.mse_loss(shift(blurred), target(blurred)).backward()
        optimizer.step()
    found = reparameterize(shift)
    assert (found.down, found.right) == (target.down, target.right)


def test_weights_that_were_loaded_are_used_at_once_and_captured_as_whole_offsets():
    shift = TrainedShift(4).eval()
    shift.load_state_dict({"down": torch.tensor([0.6, -0.2, 9.0, 0.0]), "right": torch.tensor([0.0, -0.7, 0.4, -3.0])})
    expected = (1, 0, 1, 0), (0, -1, 0, -1)
    graph = capture(nn.Sequential(shift, nn.Conv2d(4, 2, 1)), (1, 4, 5, 5))
    assert (graph.nodes[1].ints("down"), graph.nodes[1].ints("right")) == expected


def test_a_network_with_trained_shifts_is_the_plain_one_afterwards():
    torch.manual_seed(0)
    trained, plain = (zoo.create("shiftresnet", depth=8, classes=3, trained_shift=flag) for flag in (True, False))
    found = reparameterize(trained)
    assert found.state_dict().keys() == plain.state_dict().keys()
    assert trained.state_dict().keys() > plain.state_dict().keys()
    copied, images = copy.deepcopy(trained), torch.randn(2, 3, 16, 16)
    copied.load_state_dict(trained.state_dict())
    torch.testing.assert_close(copied.eval()(images), trained.eval()(images))
    expected = trained.eval()(images)
    torch.testing.assert_close(found.eval()(images), expected)
    torch.testing.assert_close(GraphNetwork(capture(trained, (1, 3, 16, 16))).eval()(images), expected)
