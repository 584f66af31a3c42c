"""What searches found, trained in full, beside networks of the zoo that are scaled to the same measured latency."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from torch import nn

from benchmarks.search_table.material import CLASSES, Images, task
from benchmarks.search_table.points import TARGET, graph_of, network_of, recipe_of
from benchmarks.search_table.setting import Setting
from pocketcnn.compression.deployed import artefact_bytes
from pocketcnn.compression.latency import opened
from pocketcnn.cost import count
from pocketcnn.graph import Graph, capture, for_inference
from pocketcnn.models import create
from pocketcnn.models.small_images import options_for
from pocketcnn.nas.space import Point
from pocketcnn.runtimes import compare
from pocketcnn.targets import load_target
from pocketcnn.targets.measuring import example_batch
from pocketcnn.training import drawn_from, evaluate, train

ZOO = ("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2")


def zoo_network(name: str, width: float, setting: Setting, seed: int = 0) -> nn.Module:
    """A network of the zoo in its form for small images, its end narrowed with the width."""
    options: dict[str, Any] = options_for(name, task(setting).size, width)
    with drawn_from(seed):
        return create(name, width=width, classes=CLASSES, in_channels=1, **options)


def fully_trained(network: nn.Module, data: Images, setting: Setting, seed: int) -> dict[str, float]:
    """Accuracies after the training in full."""
    found = train(network, data.train, data.val, recipe_of(setting, setting.final_epochs, seed))
    return {"val": found.val_accuracy, "test": evaluate(network, data.test).top1}


def found_network(point: Point, data: Images, setting: Setting, seed: int) -> dict[str, float]:
    """The same of a point."""
    return fully_trained(network_of(point, setting, seed), data, setting, seed)


def latencies(points: Sequence[Point], setting: Setting) -> dict[str, Any]:
    """Seconds of each point and of each form of the zoo's networks, all measured in turns in one run."""
    shape = (1, 1, setting.side, setting.side)
    graphs: dict[str, Graph] = {f"point {number}": graph_of(point, setting) for number, point in enumerate(points)}
    for name in ZOO:
        for width in setting.zoo:
            graphs[f"{name} {width:g}"] = capture(zoo_network(name, width, setting), shape)
    deployed = {name: for_inference(graph) for name, graph in graphs.items()}
    target = load_target(TARGET)
    with ExitStack() as stack:
        sessions = [stack.enter_context(opened(graph, artefact_bytes(graph), target)) for graph in deployed.values()]
        found = compare(sessions, [example_batch(session) for session in sessions])
    return {
        name: {"median": latency.median, "p10": latency.p10, "p90": latency.p90, "madds": count(graph).madds}
        for (name, graph), latency in zip(graphs.items(), found.latencies, strict=True)
    }


def widest_within(name: str, most: float, measured: dict[str, Any], setting: Setting, figure: str = "median") -> float:
    """The widest form of a network of the zoo whose `figure` is at most `most`; if there is none, the narrowest."""
    return max((w for w in setting.zoo if measured[f"{name} {w:g}"][figure] <= most), default=min(setting.zoo))
