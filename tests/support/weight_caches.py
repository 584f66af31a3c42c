"""Stand-ins for the caches of the Hugging Face Hub and of torch.hub: networks with random weights, and no network connection."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pocketcnn.models.pretrained import from_torchvision_weights, hub
from pocketcnn.vision import require_torchvision


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hugging Face Hub, offline; torch.hub's is empty too, and finds no server."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", _no_server)
    return tmp_path / "hub"


def _no_server(*_: object, **__: object) -> None:
    raise OSError("no server")


def timm_network(name: str, **options: Any) -> nn.Module:
    """A network of timm with random weights, whose statistics of batch norm are not those of a new one."""
    require_torchvision()
    torch.manual_seed(3)
    network: nn.Module = pytest.importorskip("timm").create_model(name, **options)
    return shaken(network)


def shaken(network: nn.Module) -> nn.Module:
    """The network in evaluation mode after one batch of training, so that its statistics are its own."""
    network.train()
    with torch.no_grad():
        network(torch.randn(4, 3, 64, 64))
    return network.eval()


def put_in_hub(cache: Path, repository: str, network: nn.Module, config: dict[str, Any] | None = None) -> Path:
    """Lay the weights of `network` into the cache as a download would; returns their folder."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123456789012345678901234567890123456789"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, snapshot / "model.safetensors"
    )
    if config is not None:
        (snapshot / "config.json").write_text(json.dumps(config))
    return snapshot


def torchvision_in_cache(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Let torch.hub's cache have weights of `name` in the file `path`, whose name has no checksum; returns the network."""
    torch.manual_seed(4)
    network = shaken(require_torchvision("models").get_model(name, weights=None))
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(hub, "cached", lambda _: path)
    assert from_torchvision_weights.from_address is hub.from_address
    return network
