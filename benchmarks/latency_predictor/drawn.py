"""Networks drawn at random from all of timm, so that nothing of the predictor can be chosen for a fixed list.

First a module of timm is drawn, then one of its networks, then the side of the image: a module with fifty variants is as likely
as one with two. What is drawn depends only on the seed. Networks that are too large for a small device, or that cannot be
captured (attention, mostly), are passed over and named.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import nn

import pocketcnn as pc
from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import GraphNetwork, ModelInfo, for_inference
from pocketcnn.vision import require_torchvision

DRAWN = "drawn"
"""What the names of drawn networks begin with, in tables."""

SIDES = (96, 128, 160, 192, 224)
MAX_PARAMETERS = 30_000_000
MAX_MADDS = 1_500_000_000


@dataclass(frozen=True)
class Drawn:
    """A name of timm with the side of its image, and the network, or why there is none."""

    name: str
    network: GraphNetwork | None
    reason: str = ""


def drawn_from_timm(count: int, seed: int, folder: Path, passed: Callable[[Drawn], None]) -> Iterator[Drawn]:
    """`count` networks of timm, each captured once and kept in `folder`; `passed` is told of those that are passed over."""
    require_torchvision()
    from timm import list_models, list_modules

    random, modules, found = Random(seed), list_modules(), set[str]()
    while len(found) < count:
        name = random.choice(list_models(module=random.choice(modules)) or [""])
        side = random.choice(SIDES)
        if not name or name in found:
            continue
        drawn = _drawn(name, side, folder)
        if drawn.network is None:
            passed(drawn)
            continue
        found.add(name)
        yield drawn


def _drawn(name: str, side: int, folder: Path) -> Drawn:
    title, path = f"{name} {side}", folder / f"drawn-{name}-{side}.safetensors"
    if path.is_file():
        return Drawn(title, pc.load(path))
    noted = path.with_suffix(".txt")
    if noted.is_file():
        return Drawn(title, None, noted.read_text(encoding="utf-8"))
    drawn = _captured(name, side)
    path.parent.mkdir(parents=True, exist_ok=True)
    if drawn.network is None:
        noted.write_text(drawn.reason, encoding="utf-8")
    else:
        pc.save(path, drawn.network)
    return drawn


def _captured(name: str, side: int) -> Drawn:
    title = f"{name} {side}"
    if reason := _too_large(name):
        return Drawn(title, None, reason)
    torch.manual_seed(0)
    try:
        graph = for_inference(pc.capture(_created(name), (1, 3, side, side)))
    except (PocketcnnError, RuntimeError, AssertionError, ValueError, TypeError) as error:  # whatever a network raises
        return Drawn(title, None, str(error).splitlines()[0][:120])
    network = GraphNetwork(graph, ModelInfo(name=title))
    if (madds := pc.count(network).madds) > MAX_MADDS:
        return Drawn(title, None, f"{madds / 1e6:.0f} M multiply-adds")
    return Drawn(title, network)


def _too_large(name: str) -> str:
    try:
        with torch.device("meta"):
            parameters = sum(weight.numel() for weight in _created(name).parameters())
    except (RuntimeError, NotImplementedError):  # not every network can be built without values
        return ""
    return f"{parameters / 1e6:.0f} M parameters" if parameters > MAX_PARAMETERS else ""


def _created(name: str) -> nn.Module:
    import timm

    module: nn.Module = timm.create_model(name, pretrained=False).eval()
    return module
