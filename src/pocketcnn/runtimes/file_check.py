"""Check of an exported file: it is run in its runtime on images, and compared with the network in PyTorch.

The reference is the simulation of the runtime's numerics (`intermediate_values.simulation`), so a right file differs by rounding
only. Judging by predicted classes would not do: a file with a wrong layer can give the same classes.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.onnx.saturation import saturating_layers
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.runtimes.base import Runtime, Session
from pocketcnn.runtimes.check_images import check_images
from pocketcnn.runtimes.divergence import MAX_TIE_SHARE, SLOW_TO_CUT, divergence, miscomputed
from pocketcnn.runtimes.intermediate_values import DEFAULTS, UNOPTIMIZED, exposes_intermediate_values, simulation
from pocketcnn.runtimes.second_export import other_part

CLOSE = 1e-4
"""Worst error of the outputs, as a share of their range, that float32 sums in another order explain.

Integer layers are exact but for ties, so a right file in int8 is mostly as close. The layers of a file that errs more are
compared one by one; of one that errs less, only where the runtime shows their values at once.
"""

FLOAT_MULTIPLE = 50
"""A float file may err this many times as much as PyTorch does in float32 against float64: deep networks amplify rounding."""

BATCH = 8

FIRST = "the first that differs is"


@dataclass(frozen=True)
class FileCheck:
    """The result of the check of one file.

    Attributes:
        runtime: the name of the runtime that ran the file.
        images: number of images.
        worst_error: largest absolute difference of an output; bound: the largest that rounding explains.
        first_difference: the first layer that differs, where one was found.
        unseen: layers on which the outputs depend for none of the images, and which could not be compared by themselves.
        problem: what is wrong with the file, as a sentence; "" if it is right.
        unchecked: why the file was not checked; "" if it was.
    """

    runtime: str
    images: int = 0
    worst_error: float = 0.0
    bound: float = 0.0
    first_difference: str | None = None
    unseen: tuple[str, ...] = ()
    problem: str = ""
    unchecked: str = ""


def check_file(network: GraphNetwork, file: Path, runtime: Runtime, images: Tensor | None = None) -> FileCheck:
    """Run `file`, which was exported from `network`, on `runtime`, and compare its outputs with the simulation's.

    The file must also be what a second export gives (see `other_part`).
    An ONNX file for ONNX Runtime is run with pocketcnn's settings, with a session's defaults, and without optimizations; and
    it is judged for processors on which int8 weights saturate (see `saturating_layers`).

    A file is right if no layer computes another result from the same inputs than PyTorch does (see `divergence`), where the
    runtime shows its values, and the worst error of the outputs is at most

    - in float, 1e-4 of their range, or 50 times PyTorch's own error in float32;
    - in int8, 1e-4 of their range; or, if no layer differs, what a step in a quarter of all values would change.

    Args:
        images: (N, C, H, W), preprocessed; random ones within the range of the input if not given. See `check_images`.
    """
    if (reason := runtime.available()) is not None:
        return FileCheck(runtime.name, unchecked=f"{runtime.name} is not there to run it: {reason}")
    batch = check_images(network, images)
    simulated = GraphNetwork(simulation(network.graph, runtime.name)).eval()
    expected = _outputs(simulated, batch)
    try:
        found = {name: _run(session, batch) for name, session in _sessions(runtime, file)}
    except PocketcnnError as error:
        return FileCheck(runtime.name, len(batch), problem=str(error))
    shapes = [tuple(outputs.shape) for outputs in found.values() if outputs.shape != expected.shape]
    if shapes:
        problem = f"its outputs have the shape {shapes[0]}, the network's {tuple(expected.shape)}"
        return FileCheck(runtime.name, len(batch), problem=problem)
    if (part := other_part(network.graph, file, runtime.name)) is not None:
        worst = max(_worst(outputs, expected) for outputs in found.values())
        problem = f"the file is not what is written for this network (the worst error of its outputs is {worst:.3g})"
        return FileCheck(runtime.name, len(batch), worst, first_difference=part, problem=f"{problem}; {FIRST} {part}")
    judged = _judged(network, simulated, batch, expected, found, runtime.name)
    return judged if judged.problem else replace(judged, problem=_saturation(runtime, file))


def _saturation(runtime: Runtime, file: Path) -> str:
    """What is wrong with an ONNX file on x86 processors without VNNI, which need not be this one."""
    layers = saturating_layers(file.read_bytes()) if runtime.name == "onnxruntime" else ()
    return (
        f"on x86 processors without VNNI the sums of {', '.join(layers)} can saturate in int16, because the weights are int8"
        if layers
        else ""
    )


def _judged(
    network: GraphNetwork,
    simulated: GraphNetwork,
    images: Tensor,
    expected: Tensor,
    found: Mapping[str, Tensor],
    runtime: str,
) -> FileCheck:
    errors = {name: _worst(outputs, expected) for name, outputs in found.items()}
    worst = max(errors, key=lambda name: errors[name] if errors[name] == errors[name] else math.inf)
    error, scale = errors[worst], _scale(expected)
    is_close, shown = error <= CLOSE * scale, exposes_intermediate_values(runtime)
    unseen = unseen_layers(simulated, images, CLOSE * scale)
    differs: str | None = None
    if shown or not is_close:
        differs = divergence(network, images, found[worst], worst)
    if unseen and differs is None and runtime not in SLOW_TO_CUT:
        differs, unseen = miscomputed(network, unseen, images, runtime), ()
    bound = CLOSE * scale if is_close else max(CLOSE * scale, _explained(simulated, images, expected))
    problem = ""
    if not error <= bound:  # NaN is an error, too
        problem = (
            f"the worst error of its outputs is {error:.3g}, and rounding explains at most {bound:.3g} "
            f"(their range is {scale:.3g})"
        )
    elif differs is not None:
        problem = f"a layer computes other values than PyTorch (the worst error of the outputs is {error:.3g})"
    if problem:
        problem += f"; {FIRST} {differs}" if differs else "; no single layer was found to differ"
    return FileCheck(runtime, len(images), error, bound, differs, unseen, problem)


def unseen_layers(network: GraphNetwork, images: Tensor, smallest: float) -> tuple[str, ...]:
    """The layers with weights whose weights could be dropped with a change of the outputs below `smallest`, to first order.

    The worst error of the outputs says nothing of them, for example of a layer behind a ReLU that gives only zeros.
    """
    weights = {node.name: node.tensors["weight"] for node in network.graph.nodes if "weight" in node.tensors}
    parameters = {name: tensor for name, tensor in network.named_parameters() if tensor.requires_grad}
    watched = {layer: parameters[name] for layer, name in weights.items() if name in parameters}
    if not watched:
        return ()
    with torch.enable_grad():
        outputs = network(images)
    towards = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).sign()
    if not outputs.requires_grad:
        return tuple(watched)
    gradients = torch.autograd.grad((outputs * towards).sum(), list(watched.values()), allow_unused=True)
    return tuple(
        layer
        for (layer, tensor), gradient in zip(watched.items(), gradients, strict=True)
        if gradient is None or float(gradient.norm() * tensor.detach().norm()) < smallest
    )


def _explained(network: GraphNetwork, images: Tensor, expected: Tensor) -> float:
    """The largest change of the outputs by rounding that is allowed: see `check_file`."""
    if not network.numerics:
        double = GraphNetwork(network.graph).double().eval()
        with torch.inference_mode():
            exact = double(images.double())
        return FLOAT_MULTIPLE * float((expected.double() - exact).abs().max())
    random = torch.Generator().manual_seed(0)

    def shaken(node: object, value: Tensor) -> Tensor | None:
        fmt = network.numerics.activations.get(getattr(node, "name", ""))
        if fmt is None:
            return None
        ways = torch.randint(-1, 2, value.shape, generator=random)
        steps = ways * (torch.rand(value.shape, generator=random) < MAX_TIE_SHARE)
        low, high = ((end - fmt.zero_point) * fmt.scale for end in (fmt.low, fmt.high))
        return (value + steps * fmt.scale).clamp(low, high)

    with torch.inference_mode():
        return _worst(network.run(images, shaken), expected)


def _sessions(runtime: Runtime, file: Path) -> Iterator[tuple[str, Session]]:
    """Sessions in which the file must be right: with pocketcnn's settings, and, for an ONNX file, as it is opened elsewhere.

    Each has the name under which `divergence` finds its layers.
    """
    yield runtime.name, runtime.build(file, threads=1)
    if runtime.name == "onnxruntime":
        from pocketcnn.runtimes.onnxruntime_runtime import OnnxSession, default_options, unoptimized

        yield DEFAULTS, OnnxSession(file, 0, default_options())
        yield UNOPTIMIZED, OnnxSession(file, 0, unoptimized())


def _run(session: Session, images: Tensor) -> Tensor:
    with closing(session):
        batches = [np.ascontiguousarray(batch.numpy(), np.float32) for batch in torch.split(images, BATCH)]
        return torch.from_numpy(np.concatenate([session.run(batch) for batch in batches]))


def _outputs(network: GraphNetwork, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in torch.split(images, BATCH)])


def _worst(outputs: Tensor, expected: Tensor) -> float:
    return float((outputs - expected).abs().max())


def _scale(expected: Tensor) -> float:
    """The range of the outputs; their largest magnitude where that is larger, as for one output."""
    return max(float(expected.max() - expected.min()), float(expected.abs().max()), 1e-6)
