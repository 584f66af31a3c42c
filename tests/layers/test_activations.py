import pytest
import torch

from pocketcnn.errors import UsageError
from pocketcnn.layers import ACTIVATIONS, activation

X = torch.linspace(-8, 8, 161, dtype=torch.float64)
RELU6 = (X + 3).clamp(0, 6)
FORMULAS = {
    "relu": X.clamp(min=0),
    "relu6": X.clamp(0, 6),
    "hardsigmoid": RELU6 / 6,
    "hardswish": X * RELU6 / 6,
    "sigmoid": 1 / (1 + torch.exp(-X)),
    "silu": X / (1 + torch.exp(-X)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_its_formula(name):
    torch.testing.assert_close(activation(name)(X), FORMULAS[name])


def test_each_call_makes_a_module_of_its_own():
    assert activation("relu") is not activation("relu")


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'hswish'.*hardswish"):
        activation("hswish")
