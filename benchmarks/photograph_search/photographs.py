"""13,824 networks for photographs of 32 x 32: where the image is made smaller, how wide it is, and by which operations.

A space of `pocketcnn search` in Python: the decisions, and the network of a point.
"""

from torch import nn

from pocketcnn.layers import ConvNormAct, batch_norm
from pocketcnn.nas.space import Point, Task
from pocketcnn.nas.spaces.operations import Layer, layer

OPERATIONS = ["inverted", "separable", "conv"]
DECISIONS = {
    "stem.stride": [1, 2],
    "stem.filters": [8, 16],
    "block1.operation": OPERATIONS,
    "block1.stride": [1, 2],
    "block2.operation": OPERATIONS,
    "block2.stride": [1, 2],
    "block2.filters": [16, 32],
    "block3.operation": OPERATIONS,
    "block3.stride": [1, 2],
    "block3.filters": [24, 48],
    "block3.layers": [1, 2],
    "last": [32, 96],
}
NORM = batch_norm(eps=1e-3, decay=0.99)


def blocks(point: Point) -> list[Layer]:
    """The layers between the stem and the last convolution."""
    channels, found = int(point["stem.filters"]), []
    for name, filters, count in (
        ("block1", 16, 1),
        ("block2", int(point["block2.filters"]), 1),
        ("block3", int(point["block3.filters"]), int(point["block3.layers"])),
    ):
        for number in range(count):
            stride = int(point[f"{name}.stride"]) if number == 0 else 1
            found.append(Layer(str(point[f"{name}.operation"]), channels, filters, stride=stride, expansion=3))
            channels = filters
    return found


def build(point: Point, task: Task) -> nn.Module:
    """Stem, three blocks, a 1 x 1 convolution, the mean over the map, and a linear layer."""
    kinds, last = blocks(point), int(point["last"])
    stem = ConvNormAct(task.channels, int(point["stem.filters"]), 3, stride=int(point["stem.stride"]), norm=NORM)
    head = [ConvNormAct(kinds[-1].out_channels, last, 1, norm=NORM), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(stem, *(layer(kind, NORM) for kind in kinds), *head, nn.Linear(last, task.classes))
