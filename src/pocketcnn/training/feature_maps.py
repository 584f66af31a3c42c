"""The feature maps of a network: their names, and access to them during a forward pass.

In a captured network they are the outputs of its nodes, in any other module the outputs of its submodules.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pocketcnn.graph import GraphNetwork, Node


@dataclass(frozen=True)
class FeatureMap:
    """A feature map: its name and its shape (C, H, W)."""

    name: str
    shape: tuple[int, int, int]

    @property
    def resolution(self) -> tuple[int, int]:
        """(H, W)."""
        return self.shape[1:]


def feature_maps(network: nn.Module, images: Tensor) -> list[FeatureMap]:
    """All feature maps of a network in eval mode, in the order in which they are computed, for images (1, C, H, W)."""
    seen: dict[str, FeatureMap] = {}
    with torch.no_grad(), _watched(network, None, lambda name, value: _note(seen, name, value)):
        network(images)
    return list(seen.values())


def last_of_each_resolution(maps: Sequence[FeatureMap]) -> dict[tuple[int, int], FeatureMap]:
    """The last feature map of each size larger than one pixel."""
    return {found.resolution: found for found in maps if found.resolution != (1, 1)}


@contextlib.contextmanager
def recorded_feature_maps(network: nn.Module, names: Collection[str]) -> Iterator[dict[str, Tensor]]:
    """Inside, every forward pass stores the named feature maps, (N, C, H, W) each, in the yielded dictionary."""
    values: dict[str, Tensor] = {}
    if not names:
        yield values
        return
    with _watched(network, names, values.__setitem__):
        yield values


def _note(seen: dict[str, FeatureMap], name: str, value: Tensor) -> None:
    seen.pop(name, None)  # a module that runs several times counts at its last run
    if value.ndim == 4:
        _, channels, height, width = value.shape
        seen[name] = FeatureMap(name, (channels, height, width))


@contextlib.contextmanager
def _watched(network: nn.Module, names: Collection[str] | None, see: Any) -> Iterator[None]:
    """Inside, `see(name, tensor)` is called for the named values, or for all."""
    with contextlib.ExitStack() as stack:
        captured: list[str] = []
        for path, module in network.named_modules():
            if any(not outer or path.startswith(f"{outer}.") for outer in captured):
                continue  # the layers of a captured network are seen as its nodes
            if isinstance(module, GraphNetwork):
                captured.append(path)
                stack.enter_context(module.observed(_observer(path, names, see)))
            elif names is None or path in names:
                handle = module.register_forward_hook(_hook(path, see))
                stack.callback(handle.remove)
        yield


def _observer(path: str, names: Collection[str] | None, see: Any) -> Any:
    prefix = f"{path}." if path else ""

    def observe(node: Node, value: Tensor) -> None:
        name = prefix + node.name
        if node.op != "input" and (names is None or name in names):
            see(name, value)

    return observe


def _hook(path: str, see: Any) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            see(path, output)

    return hook
