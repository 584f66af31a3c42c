"""Runs graphs in ExecuTorch."""

import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketcnn.formats.executorch.writer import lowered, program_bytes, undelegated
from pocketcnn.graph import Graph
from pocketcnn.runtimes import get_runtime


def run(graph: Graph, images: Tensor) -> tuple[Tensor, Counter[str]]:
    """The answers of the file that `graph` is written to, and the operators that XNNPACK does not take."""
    program = lowered(graph)
    left = undelegated(program)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pte"
        path.write_bytes(program_bytes(program))
        with closing(get_runtime("executorch").build(path, threads=1)) as session:
            answers = torch.from_numpy(session.run(np.ascontiguousarray(images.numpy())))
    return answers, left
