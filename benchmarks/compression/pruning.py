"""Criteria of pruning side by side, and Torch-Pruning's beside them: the same multiply-adds, the same fine-tuning.

    pip install "pocketcnn[benchmarks,samples]"
    python -m benchmarks.compression.pruning                       # half an hour of one core
    python -m benchmarks.compression.pruning --setting large       # wider networks, longer trainings: wants a GPU
    python -m benchmarks.compression.pruning --pages               # only write the page

Small MobileNetV2, ShuffleNetV2 and ResNet-18 are trained on scikit-learn's digits, pruned to 70, 50 and 30 % of their
multiply-adds by each criterion, and fine-tuned against the unpruned network. Writes pruning.json and pruning.md in
docs/benchmarks/compression.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.compression.automatic_table.material import Images, build, images
from benchmarks.compression.pruning_table.ours import OURS
from benchmarks.compression.pruning_table.page import page
from benchmarks.compression.pruning_table.peer import PEERS
from benchmarks.compression.pruning_table.setting import SETTINGS, SHARES, Setting
from benchmarks.compression.pruning_table.task import Failed, Method, Task
from pocketcnn.cost.counting import parameters, total_madds
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.runtimes import this_machine
from pocketcnn.training import drawn_from, evaluate, recalibrate, train

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"
STEM = "pruning"
EVIDENCE = 512
"""Training images that the criteria see."""

METHODS: dict[str, Method] = {**OURS, **PEERS}


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    place = options.out / f"{STEM}.json"
    if options.pages:
        document = json.loads(place.read_text())
    else:
        for document in measured(SETTINGS[options.setting], options.networks.split(","), options.seeds):
            write_text(place, json.dumps(document, indent=1) + "\n")
    write_text(options.out / f"{STEM}.md", page(document))
    return 0


def measured(
    setting: Setting, networks: Sequence[str], seeds: int | None = None, methods: dict[str, Method] = METHODS
) -> Iterator[dict[str, Any]]:
    """The comparison as far as it is, after each row: for each network and seed the unpruned one, then all methods by share."""
    began = time.perf_counter()
    data = images("digits", setting.side)
    told = {"setting": setting.name, "side": setting.side, "networks": setting.networks, "multiple": setting.multiple}
    told |= {"steps": setting.steps, "recovery_steps": setting.recovery_steps, "evidence": EVIDENCE}
    told |= {name: len(part) for name, part in (("train", data.train), ("val", data.val), ("test", data.test))}
    rows: list[dict[str, Any]] = []
    for seed, network in product(setting.seeds[:seeds], networks):
        for row in of_network(network, seed, data, setting, methods):
            rows.append(row)
            seconds = round(time.perf_counter() - began)
            say(
                f"{seconds:6.0f} s  {network}, seed {seed}, {row['share']:.0%}, {row['method']}: {row.get('top1', 'failed')}"
            )
            yield {"machine": asdict(this_machine()), "seconds": seconds, **told, "rows": rows}


def of_network(
    network: str, seed: int, data: Images, setting: Setting, methods: dict[str, Method] = METHODS
) -> Iterator[dict[str, Any]]:
    """One trained network, and what every method makes of it."""
    with drawn_from(seed):
        module = build(network, setting.networks[network])
    train(module, data.train, data.val, setting.training(len(data.train), seed))
    parent = GraphNetwork(capture(module, (1, 1, setting.side, setting.side))).eval()
    told = {"network": network, "seed": seed}
    yield {**told, "method": "unpruned", "share": 1.0, **figures(parent, data, parent.graph)}
    for share, (name, method) in product(SHARES, methods.items()):
        task = task_of(module, parent, data, share, setting.multiple, seed)
        yield {**told, "method": name, "share": share, **result(task, method, data, setting)}


def task_of(module: nn.Module, parent: GraphNetwork, data: Images, share: float, multiple: int, seed: int) -> Task:
    """The task of pruning `module` to a share of its multiply-adds."""
    pixels, labels = data.train.tensors
    return Task(module, parent, pixels[:EVIDENCE], labels[:EVIDENCE], share, multiple, seed)


def result(task: Task, method: Method, data: Images, setting: Setting) -> dict[str, Any]:
    """What one method made of it: accuracy before and after the fine-tuning, and what is left."""
    began = time.process_time()
    try:
        graph = method(task)
    except Failed as error:
        return {"failed": str(error)}
    seconds = time.process_time() - began
    network = GraphNetwork(graph)
    recalibrate(network, task.images)
    before = evaluate(network, data.test).top1
    train(network, data.train, data.val, setting.recovery(len(data.train), task.seed), teacher=task.parent)
    return {"before": before, "seconds": round(seconds, 2), **figures(network, data, task.parent.graph)}


def figures(network: GraphNetwork, data: Images, whole: Graph) -> dict[str, Any]:
    """Accuracy on the test images, and the shares of multiply-adds and parameters that are left."""
    graph, found = network.graph, evaluate(network, data.test)
    return {
        "top1": found.top1,
        "loss": found.loss,
        "madds": total_madds(graph),
        "madds_kept": total_madds(graph) / total_madds(whole),
        "params_kept": parameters(graph) / parameters(whole),
    }


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--setting", choices=tuple(SETTINGS), default="small")
    parser.add_argument("--networks", default="mobilenet_v2,shufflenet_v2,resnet18", help="some of them only")
    parser.add_argument("--seeds", type=int, help="the first so many seeds of the setting only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--pages", action="store_true", help="write the page from the JSON that is there")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
