"""The artefact and its sidecar are enough: numpy, Pillow and ONNX Runtime run them, without pocketcnn and torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pocketcnn.data.preprocess import preprocess
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.pipeline.deploy.export import export

PROGRAM = """
import json, sys
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

folder, picture = sys.argv[1:]
sidecar = json.load(open(f"{folder}/model.json", encoding="utf-8"))
contract = sidecar["input"]
size, how = (contract["width"], contract["height"]), Image.Resampling[contract["interpolation"].upper()]
image = ImageOps.exif_transpose(Image.open(picture)).convert("L" if contract["channels"] == 1 else "RGB")
if contract["resize"] == "crop":
    image = ImageOps.fit(image, size, how)
elif contract["resize"] == "letterbox":
    image = ImageOps.pad(image, size, how, color=0)
else:
    image = image.resize(size, how)
pixels = np.asarray(image, np.float32).reshape(contract["height"], contract["width"], contract["channels"])
batch = ((pixels / 255 - contract["mean"]) / contract["std"]).transpose(2, 0, 1)[None].astype(np.float32)
session = onnxruntime.InferenceSession(f"{folder}/{sidecar['file']}", providers=["CPUExecutionProvider"])
logits = session.run(None, {session.get_inputs()[0].name: batch})[0][0]
forbidden = {"pocketcnn", "torch", "onnx"} & set(sys.modules)
print(json.dumps({"class": sidecar["classes"][logits.argmax()], "logits": logits.tolist(), "forbidden": sorted(forbidden)}))
"""


@pytest.mark.parametrize(
    ("channels", "resize", "interpolation"),
    [(3, "stretch", "bilinear"), (3, "crop", "bicubic"), (3, "letterbox", "nearest"), (1, "stretch", "nearest")],
)
def test_three_common_libraries_run_an_exported_network(
    channels: int, resize: str, interpolation: str, tmp_path: Path
) -> None:
    statistics = {"mean": (0.4,) * channels, "std": (0.3,) * channels}
    contract = InputContract(
        channels=channels, height=20, width=24, resize=resize, interpolation=interpolation, **statistics
    )
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(channels, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9 * 11, 3)).eval()
    info = ModelInfo(name="small", input=contract, classes=("cat", "dog", "eel"))
    network = GraphNetwork(capture(module, (1, *contract.shape)), info).eval()
    export(network, "onnx", tmp_path / "model.onnx")
    picture = tmp_path / "picture.png"
    noise = np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture)

    ran = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(tmp_path), str(picture)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    with Image.open(picture) as image, torch.no_grad():
        expected = network(preprocess(image, contract)[None])[0]
    np.testing.assert_allclose(answer["logits"], expected, atol=1e-4)
    assert answer["class"] == info.classes[int(expected.argmax())]
    assert answer["forbidden"] == []
