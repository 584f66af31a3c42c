"""Small networks that use what the light networks use, in float, pruned and quantized."""

import torch
from torch import Tensor, nn

from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics, WeightFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.passes.fold import for_inference

SHAPE = (3, 16, 16)


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU6())


class Gate(nn.Module):
    """Squeeze-and-excite."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = nn.functional.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.expand(squeezed))


class SmallNetwork(nn.Module):
    """Stem, depthwise, gate, residual add, split, channel shuffle, concat, dropout, classifier."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, 2)
        self.block = nn.Sequential(conv(8, 16), conv(16, 16, 3, groups=16), Gate(16), nn.Conv2d(16, 8, 1))
        self.branch = conv(4, 4, 3)
        self.head = nn.Sequential(nn.Conv2d(8, 12, 1), nn.Hardswish())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.block(x)
        kept, changed = x.chunk(2, dim=1)
        x = nn.functional.channel_shuffle(torch.cat([kept, self.branch(changed)], dim=1), 2)
        x = self.head(x).mean((2, 3))
        result: Tensor = self.classifier(x)
        return result


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norm as after training: statistics, scales and offsets that are not 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) and layer.running_mean is not None:
                layer.running_mean.normal_(0, 0.1, generator=generator)
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
                if layer.affine:
                    layer.weight.uniform_(0.5, 1.5, generator=generator)
                    layer.bias.normal_(0, 0.1, generator=generator)
    return module


def images(count: int = 4, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def small_network(classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return randomised(SmallNetwork(classes)).eval()


def float_network(classes: int = 5) -> GraphNetwork:
    return GraphNetwork(capture(small_network(classes), (1, *SHAPE))).eval()


def pruned_network() -> GraphNetwork:
    """Channels 1, 4 and 9 of the expansion removed by hand: no longer what any class builds."""
    graph = float_network().graph
    keep = torch.tensor([channel for channel in range(16) if channel not in (1, 4, 9)])
    tensors = dict(graph.tensors)
    for name, tensor in tensors.items():
        rows = name.startswith(("block.0.", "block.1.", "block.2.expand"))
        columns = name in ("block.2.reduce.weight", "block.3.weight")
        tensors[name] = tensor[keep] if rows else tensor[:, keep] if columns else tensor
    depthwise = graph["block.1.0"]
    nodes = [
        Node(n.name, n.op, n.inputs, n.shape, {**n.attrs, "groups": len(keep)}, n.tensors) if n is depthwise else n
        for n in graph.nodes
    ]
    return GraphNetwork(graph.rebuilt(nodes, tensors=tensors)).eval()


def quantized(graph: Graph, calibration: Tensor, bits: int = 8) -> GraphNetwork:
    """The folded graph with formats by the extremes of weights and activations, in the simplest way."""
    graph = for_inference(graph)
    tensors = dict(graph.tensors)
    weights = {}
    for node in graph.nodes:
        if node.op in ("conv2d", "linear"):
            name = node.tensors["weight"]
            form = WeightFormat(scale=f"{name}_scale", bits=bits)
            largest = tensors[name].abs().flatten(1).amax(1).clamp(min=1e-6)
            tensors[form.scale] = largest / form.high
            weights[name] = form
    formats: dict[str, ActivationFormat] = {}

    def calibrate(node: Node, value: Tensor) -> None:
        low, high = min(float(value.min()), 0.0), max(float(value.max()), 1e-6)
        scale = (high - low) / 255
        formats[node.name] = ActivationFormat(scale=scale, zero_point=round(-low / scale))

    with torch.no_grad():
        GraphNetwork(graph).eval().run(calibration, calibrate)
    unstored = {node.name for node in graph.nodes if OPS[node.op].view} | {graph.output}  # the answer stays float
    formats = {name: form for name, form in formats.items() if name not in unstored}
    numerics = Numerics(activations=formats, weights=weights)
    return GraphNetwork(graph.rebuilt(tensors=tensors, numerics=numerics)).eval()


def quantized_network(bits: int = 8) -> GraphNetwork:
    return quantized(pruned_network().graph, images(16, seed=2), bits)
