"""Stand-ins for what pages name and do not make: a few photographs, and a network that was trained on them."""

from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from pocketcnn.cli.app import app

EACH = 30
"""Images of each class."""


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, three classes of digits, and `run`, which a training on them left, with an ONNX file."""
    folder = tmp_path_factory.mktemp("stand_ins")
    data = load_digits()
    for label in (0, 1, 4):
        (folder / "photos" / str(label)).mkdir(parents=True)
        for index in (data.target == label).nonzero()[0][:EACH]:
            picture = Image.fromarray((data.images[index] * 15).astype("uint8"))
            picture.save(folder / "photos" / str(label) / f"{index}.png")
    train = ["train", "photos", "--network", "mobilenet_v2", "--width", "0.1", "--epochs", "3", "--out", "run"]
    for command in (train, ["export", "run/model.safetensors", "--to", "onnx", "--out", "run/model.onnx"]):
        placed = [str(folder / word) if word.split("/")[0] in ("photos", "run") else word for word in command]
        done = CliRunner().invoke(app, placed)
        assert done.exit_code == 0, f"{done.stderr}\n{done.exception!r}"
    return folder
