"""An ONNX file as a module, so that what takes a network takes the deployable file too."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.machine import available_cores


class OnnxModule(nn.Module):
    """Runs the file on ONNX Runtime: images (N, C, H, W) in, logits (N, classes) out. It cannot be trained."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = get_runtime("onnxruntime").build(path, threads=available_cores())

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(images.cpu().numpy())).to(images.device)
