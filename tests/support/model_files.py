"""Take a model file apart and put it together again, changed."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from pocketcnn.graph.model_file import KEY

Json = dict[str, Any]
Tensors = dict[str, Tensor]


def parts(path: Path) -> tuple[Json, Tensors]:
    data = path.read_bytes()
    outer = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(outer["__metadata__"][KEY]), safetensors.torch.load(data)


def written(path: Path, header: Any, tensors: Tensors) -> Path:
    text = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(safetensors.torch.save(tensors, {KEY: text}))
    return path
