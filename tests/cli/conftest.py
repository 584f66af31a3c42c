"""A folder of digits and networks that were trained on it, made once."""

from pathlib import Path

import pytest

from pocketcnn.pipeline.effort import Effort
from tests.support.cli import succeed, write_digits


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 30 images each."""
    return write_digits(tmp_path_factory.mktemp("images") / "digits")


@pytest.fixture(scope="session")
def trained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `train` left."""
    out = tmp_path_factory.mktemp("trained")
    recipe = out / "recipe.toml"
    recipe.write_text("batch_size = 32\nema_decay = 0.9\n")
    train = ("train", digits, "--network", "mobilenet_v2", "--width", "0.1", "--epochs", "6", "--recipe", recipe)
    succeed(*train, "--out", out, "--seed", "5")
    return out


@pytest.fixture(scope="session")
def model(trained: Path) -> Path:
    """A trained model file."""
    return trained / "model.safetensors"


@pytest.fixture(scope="session")
def onnx_file(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network as an ONNX file beside its sidecar."""
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    succeed("export", model, "--out", path)
    return path


LITTLE = Effort(
    candidates=1,
    rounds=(3,),
    final_steps=12,
    recovery_steps=6,
    quantized_steps=3,
    short_steps=1,
    episodes=4,
    min_epochs=1,
)


@pytest.fixture
def _little_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fit`, `compress` and `search` train as little as they can."""
    for verb in ("fit", "compress", "search"):
        monkeypatch.setattr(f"pocketcnn.pipeline.{verb}.{verb}.load_effort", lambda _: LITTLE)
