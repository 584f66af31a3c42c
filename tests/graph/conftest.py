"""A small model file that the tests of damaged and hostile files start from."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.info import ModelInfo, Stage
from pocketcnn.graph.model_file import save
from tests.support.small_networks import quantized


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quantized network of six nodes: input, conv, relu, gather, mean, linear."""

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(6, 2)
            self.register_buffer("order", torch.tensor([0, 3, 1, 2, 0, 1]))

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.fc(torch.relu(self.conv(x))[:, self.order].mean((2, 3)))
            return result

    torch.manual_seed(0)
    network = quantized(capture(Tiny().eval(), (1, 3, 8, 8)), torch.randn(8, 3, 8, 8))
    contract = InputContract(height=8, width=8, mean=(0.5,) * 3, std=(0.2,) * 3)
    info = ModelInfo(name="tiny", input=contract, classes=("a", "b"), lineage=(Stage(name="quantize", seed=1),))
    return save(tmp_path_factory.mktemp("files") / "good.safetensors", network, info=info)
