"""How long it takes to count a network: pocketcnn beside fvcore, ptflops and thop, on the same network in the same run.

    python -m benchmarks.inspect_speed                                        # half a minute
    python -m benchmarks.inspect_speed --networks mobilenet_v3_large --runs 20

Needs the extra ``counters``. Two times are taken: of the first call in a process that has imported the library and built the
network, and of further calls, in which all take turns. pocketcnn's is all that `pocketcnn inspect` does: capture, figures of
each layer, liveness, plans of patches. The others run the network once and count. Writes docs/benchmarks/inspect_speed.json.
"""

import argparse
import contextlib
import copy
import io
import json
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

import pocketcnn as pc
from pocketcnn.files import write_text
from pocketcnn.runtimes import this_machine
from pocketcnn.vision import require_torchvision

OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "inspect_speed.json"
IMAGE = (3, 224, 224)
NETWORKS = ("mobilenet_v3_large", "mobilenet_v3_small", "shufflenet_v2", "resnet50")
Counter = Callable[[nn.Module], Any]


def pocketcnn() -> Counter:
    from pocketcnn.cost import count, patch_plans

    def run(module: nn.Module) -> Any:
        network = pc.GraphNetwork(pc.capture(module, (1, *IMAGE)))
        return count(network), patch_plans(network.graph)

    return run


def fvcore() -> Counter:
    from fvcore.nn import FlopCountAnalysis

    return lambda module: FlopCountAnalysis(module, torch.zeros(1, *IMAGE)).total()


def ptflops() -> Counter:
    require_torchvision()  # ptflops imports it, and that import may need help
    from ptflops import get_model_complexity_info

    options = {"print_per_layer_stat": False, "as_strings": False, "backend": "aten"}
    return lambda module: get_model_complexity_info(module, IMAGE, **options)


def thop() -> Counter:
    from thop import profile

    return lambda module: profile(module, inputs=(torch.zeros(1, *IMAGE),), verbose=False)


COUNTERS: Mapping[str, Callable[[], Counter]] = {each.__name__: each for each in (pocketcnn, fvcore, ptflops, thop)}


def main() -> None:
    options = arguments()
    if options.first:
        print(first_call(options.first, options.networks[0]))
        return
    document = {
        "machine": asdict(this_machine()),
        "image": IMAGE,
        "threads": torch.get_num_threads(),
        "networks": {name: measured(name, options.runs, options.launches) for name in options.networks},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(document, indent=1) + "\n")
    show(document["networks"])


def measured(name: str, runs: int, launches: int) -> dict[str, Any]:
    """Of each counter: seconds of a first call, median seconds of a further one, and ratios to pocketcnn's."""
    first = {each: min(launched(each, name) for _ in range(launches)) for each in COUNTERS}
    further = in_turns(pc.create(name).eval(), runs)
    median = {each: statistics.median(seconds) for each, seconds in further.items()}
    return {
        each: {
            "first_seconds": first[each],
            "median_seconds": median[each],
            "lowest_seconds": min(further[each]),
            "highest_seconds": max(further[each]),
            "first_ratio": first[each] / first["pocketcnn"],
            "median_ratio": statistics.median(
                other / ours for other, ours in zip(further[each], further["pocketcnn"], strict=True)
            ),
        }
        for each in COUNTERS
    }


def in_turns(module: nn.Module, runs: int) -> dict[str, list[float]]:
    """Seconds of each call; all counters take turns, so that noise hits them alike. A first turn is not counted."""
    with quiet():
        counters = {name: make() for name, make in COUNTERS.items()}
        seconds: dict[str, list[float]] = {name: [] for name in counters}
        for turn in range(runs + 1):
            for name, counter in counters.items():
                taken = timed(counter, copy.deepcopy(module))
                seconds[name] += [taken] * (turn > 0)
    return seconds


def launched(counter: str, network: str) -> float:
    """Seconds of the first call in a process of its own."""
    command = [sys.executable, __file__, "--first", counter, "--networks", network]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def first_call(counter: str, network: str) -> float:
    """Seconds of the first call here; imports and the making of the network are not in it."""
    module = pc.create(network).eval()
    with quiet():
        return timed(COUNTERS[counter](), module)


def timed(counter: Counter, module: nn.Module) -> float:
    start = time.perf_counter()
    counter(module)
    return time.perf_counter() - start


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The counters print, and use what torch and Python have deprecated."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def show(networks: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    for name, counters in networks.items():
        print(name)
        for counter, found in counters.items():
            print(
                f"  {counter:10} first {found['first_seconds']:.3f} s (x {found['first_ratio']:.2f}), "
                f"further {found['median_seconds']:.3f} s (x {found['median_ratio']:.2f})"
            )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=lambda text: text.split(","), default=list(NETWORKS))
    parser.add_argument("--runs", type=int, default=7, help="Turns of further calls.")
    parser.add_argument("--launches", type=int, default=3, help="Processes for the first call; the shortest counts.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--first", choices=list(COUNTERS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
