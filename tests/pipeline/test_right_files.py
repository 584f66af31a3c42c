"""The check of an exported file does not refuse a right one: the zoo, in float and int8, on each runtime.

The networks have random weights. In int8 these are the hardest case: a single rounding at a tie can change their answer by
half of its range, so that the worst error alone would refuse right files.
"""

import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pocketcnn as pc
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.pipeline.deploy.bench_images import initialize_batch_norm_statistics
from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.file_check import check_file
from tests.support.zoo_forms import NAMES, SIBLINGS, side, small

QUICK = frozenset({"mobilenet_v2", "mobilenet_v3_small", "shufflenet_v1", "squeezenet1_1"})
RUNTIMES = ("onnxruntime", "openvino", "litert", "ncnn")
CASES = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES if name not in SIBLINGS
]


@cache
def float_network(name: str) -> GraphNetwork:
    module, size = small(name).eval(), side(name, 32)
    initialize_batch_norm_statistics(module, images(name))
    return GraphNetwork(capture(module, (1, 3, size, size))).eval()


@cache
def int8_network(name: str) -> GraphNetwork:
    return pc.quantize(float_network(name), images(name), method="minmax").eval()


def images(name: str) -> Tensor:
    """Each of its own colour."""
    random, size = torch.Generator().manual_seed(1), side(name, 32)
    return torch.randn(64, 3, size, size, generator=random) + torch.randn(64, 3, 1, 1, generator=random)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("numerics", ["float32", "int8"])
@pytest.mark.parametrize("name", CASES)
def test_a_right_file_is_found_right(name: str, numerics: str, runtime: str) -> None:
    network = float_network(name) if numerics == "float32" else int8_network(name)
    there = get_runtime(runtime)
    with tempfile.TemporaryDirectory() as folder:
        check = check_file(network, there.write(network, Path(folder) / f"net{there.suffix}"), there)
    assert check.problem == ""
    assert check.worst_error <= check.bound
