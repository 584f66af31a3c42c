import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.training.devices import Precision, choose_device, choose_memory_format, device_of, placed
from pocketcnn.training.rng import preserved_rng, rng_state, seed_everything, set_rng_state
from tests.support.training import small_net


def test_a_device_that_is_not_there_is_refused() -> None:
    for name in ("quantum", "cpu:x"):
        with pytest.raises(UsageError, match=f"no device '{name}'"):
            choose_device(name)
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_processors_compute_in_float32_and_gpus_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    assert Precision.choose("auto", torch.device("cpu")).dtype is None
    assert Precision.choose("off", cuda).dtype is None
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert Precision.choose("auto", cuda).dtype is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert Precision.choose("auto", cuda).dtype is torch.float16


def test_the_scaler_passes_float32_through() -> None:
    precision = Precision(torch.device("cpu"))
    loss = torch.tensor(2.0)
    assert precision.scaler().scale(loss) is loss
    with precision.autocast():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype is torch.float32
    with Precision(torch.device("cpu"), torch.bfloat16).autocast():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype is torch.bfloat16


def test_channels_last_only_where_it_runs_and_the_weights_come_back() -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.conv(images).view(len(images), -1)  # type: ignore[no-any-return]

    network = small_net().eval()
    assert choose_memory_format(network, torch.zeros(1, 1, 8, 8)) is torch.channels_last
    assert choose_memory_format(Views(), torch.zeros(1, 3, 8, 8)) is torch.contiguous_format
    assert all(parameter.is_contiguous() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "safe"), [(4, 1, 2, False), (4, 3, 2, True), (4, 1, 1, True), (16, 1, 2, True)]
)
def test_a_kernel_that_corrupts_memory_is_avoided(channels: int, kernel: int, stride: int, safe: bool) -> None:
    network = nn.Conv2d(channels, 8, kernel, stride)
    chosen = choose_memory_format(network, torch.zeros(1, channels, 8, 8))
    assert (chosen is torch.channels_last) == safe


NARROW_SHORTCUTS = """
import torch
from torch import nn
from torch.utils.data import TensorDataset
from pocketcnn.training import Recipe, train

for channels in range(2, 8):
    images = TensorDataset(torch.randn(60, channels, 8, 8), torch.arange(60) % 10)
    network = nn.Sequential(nn.Conv2d(channels, 24, 1, 2, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))
    train(network, images, images, Recipe(epochs=10, batch_size=15))
"""


def test_narrow_shortcuts_train_on_every_processor() -> None:
    """With AVX2 the process was aborted: oneDNN wrote beyond a buffer. So it is a process of its own, held to AVX2."""
    held = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", NARROW_SHORTCUTS],
        check=False,
        env={**os.environ, **held},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_placed_restores_the_modes() -> None:
    network = small_net().train()
    network[1].eval()

    def fail_inside() -> None:
        with placed(network, torch.device("cpu"), training=False):
            assert not any(module.training for module in network.modules())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert (network.training, network[0].training, network[1].training) == (True, True, False)
    assert device_of(nn.Identity()).type == "cpu"


def test_the_random_streams_go_on_where_they_were() -> None:
    import random

    import numpy as np

    def draw() -> tuple[float, float, float, float]:
        return torch.rand(1).item(), float(np.random.rand()), float(np.random.normal()), random.gauss(0, 1)

    cpu = torch.device("cpu")
    with preserved_rng(cpu):
        seed_everything(3)
        draw()  # one normal is left over in NumPy's and in Python's stream
        state = rng_state(cpu)
        expected = draw()
        seed_everything(4)
        set_rng_state(state, cpu)
        assert draw() == expected
