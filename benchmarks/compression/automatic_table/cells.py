"""One cell: every method in turn, the same fine-tuning for all, and all results timed side by side."""

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.compression.automatic_table.methods import METHODS, Method
from benchmarks.compression.automatic_table.peer import PeerFailed
from benchmarks.compression.automatic_table.task import TARGET, Task
from pocketcnn.cost import count
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import BudgetNotMet
from pocketcnn.graph import Graph, GraphNetwork, for_inference
from pocketcnn.runtimes import StopRule, compare, get_runtime
from pocketcnn.targets import load_target
from pocketcnn.targets.measuring import example_batch, runtime_of
from pocketcnn.training import evaluate, recalibrate, train

RULE = StopRule(warmup_seconds=0.02, min_seconds=0.1, max_seconds=0.4)
PARENT = "unpruned"


def run(task: Task, methods: Mapping[str, Method] = METHODS) -> dict[str, Any]:
    """The figures of a cell: of the unpruned network, and of what each method made of it."""
    results: dict[str, dict[str, Any]] = {PARENT: _figures(task, task.parent.graph)}
    graphs: dict[str, Graph] = {PARENT: task.parent.graph}
    for name, method in methods.items():
        found = _result(task, method)
        results[name] = found["figures"]
        if "graph" in found:
            graphs[name] = found["graph"]
    for name, figures in _timed(graphs).items():
        results[name] |= figures
    return {**vars(task.cell), "setting": task.setting.name, "bound": task.bound, "methods": results}


def _result(task: Task, method: Method) -> dict[str, Any]:
    task.notes.clear()
    began = time.process_time()
    try:
        graph = method(task)
    except (BudgetNotMet, PeerFailed) as error:
        return {"figures": {"failed": str(error)}}
    chosen = time.process_time() - began + task.notes.pop("earlier_seconds", 0.0)
    network = GraphNetwork(graph)
    if "proposals" not in task.notes:  # NetAdapt has trained its network since
        recalibrate(network, task.statistics)
    before = task.held_out.accuracy(network, task.setting.device)
    recipe = task.setting.recovery(len(task.data.train), task.cell.seed)
    train(network, task.data.train, task.data.val, recipe, teacher=task.parent)
    graph = network.graph.rebuilt()
    notes = {"seconds": round(chosen, 2), "before_recovery": before, "use": task.resource.use(graph) / task.bound}
    return {"graph": graph, "figures": {**_figures(task, graph), **notes, **task.notes}}


def _figures(task: Task, graph: Graph) -> dict[str, Any]:
    found = evaluate(GraphNetwork(graph), task.data.test, device=task.setting.device)
    cost = count(for_inference(graph))
    return {"top1": found.top1, "madds": total_madds(graph), "params": cost.params, "loss": found.loss}


def _timed(graphs: dict[str, Graph]) -> dict[str, dict[str, float]]:
    """Seconds of one image on the target, in turns, and their ratio to the unpruned network's."""
    target = load_target(TARGET)
    runtime = get_runtime(runtime_of(target))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sessions = []
        for number, graph in enumerate(graphs.values()):
            path = runtime.write(GraphNetwork(for_inference(graph)), Path(folder) / f"{number}{runtime.suffix}")
            sessions.append(stack.enter_context(closing(runtime.build(path, threads=target.thread_count))))
        found = compare(sessions, [example_batch(session) for session in sessions], rule=RULE)
    return {
        name: {"latency": latency.median, "latency_ratio": ratio, "ratio_low": low, "ratio_high": high}
        for name, latency, ratio, (low, high) in zip(
            graphs, found.latencies, found.ratios, found.intervals, strict=True
        )
    }
