import pytest
import torch

from pocketcnn.layers import DropPath, set_progress


def test_each_image_is_dropped_as_a_whole_or_scaled_so_that_the_mean_stays():
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 1, 2)
    y = DropPath(0.25).train()(x)
    assert sorted(y.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert (y == y[:, :1, :, :1]).all()
    assert y.mean().item() == pytest.approx(1, abs=0.05)


def test_nothing_happens_at_inference():
    x = torch.randn(4, 2, 3, 3)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


def test_the_rate_grows_with_the_progress_of_the_training():
    network = torch.nn.Sequential(DropPath(0.4))
    assert network[0].present_rate == 0.4
    rates = []
    for progress in (0.0, 0.5, 1.0):
        set_progress(network, progress)
        rates.append(network[0].present_rate)
    assert rates == [0.0, 0.2, 0.4]
