"""An ONNX file as an `nn.Module`, so that functions for networks also accept an exported file."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.machine import available_cores


class OnnxModule(nn.Module):
    """Runs the file on ONNX Runtime: (N, C, H, W) -> (N, classes) logits. It cannot be trained."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = get_runtime("onnxruntime").build(path, threads=available_cores())

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(images.cpu().numpy())).to(images.device)
