"""The tensors of a network as stored in a model file: quantized weights as int8, all others unchanged."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pocketcnn.graph.fake_quantize import per_channel, quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.header import is_valid_scale
from pocketcnn.graph.numerics import Numerics, WeightFormat
from pocketcnn.graph.ops import OPS, GraphError, require

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def stored_tensors(graph: Graph) -> dict[str, Tensor]:
    """The tensors for the file, by name: int8 integers for quantized weights; contiguous and on the CPU."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in graph.tensors.items()}
    for name, fmt in graph.numerics.weights.items():
        scale = stored[fmt.scale]
        _check_scale(name, stored[name], scale, fmt)
        stored[name] = quantize_weight(stored[name], scale, fmt).to(torch.int8)
    return stored


def restored_tensors(stored: Mapping[str, Tensor], numerics: Numerics) -> dict[str, Tensor]:
    """The tensors of the graph, with quantized weights dequantized to float32 (integer x scale).

    Quantizing the result again gives the same integers: the float32 rounding errors of a product and a quotient are at most
    half a unit in the last place each, far below half a quantization step.

    Raises:
        GraphError: a format for a tensor that is missing or not int8, or invalid scales.
    """
    tensors = dict(stored)
    for name, fmt in numerics.weights.items():
        if name not in stored or fmt.scale not in stored:
            raise GraphError(f"There is a quantization format for {name!r}, but no tensor {name!r} or {fmt.scale!r}.")
        codes, scale = stored[name], stored[fmt.scale]
        if codes.dtype != torch.int8:
            raise GraphError(f"The tensor {name!r} has a quantization format, so it must be int8, not {codes.dtype}.")
        if bool((codes.to(torch.int16).abs() > fmt.high).any()):
            raise GraphError(f"The tensor {name!r} has integers outside ±{fmt.high}.")
        weight = codes.to(torch.float32)
        _check_scale(name, weight, scale, fmt)
        tensors[name] = weight * per_channel(scale, weight)
    return tensors


def _check_scale(name: str, weight: Tensor, scale: Tensor, fmt: WeightFormat) -> None:
    if weight.dtype != torch.float32 or scale.dtype != torch.float32:
        raise GraphError(
            f"The tensor {name!r} and its scales are {weight.dtype} and {scale.dtype}; both must be float32."
        )
    if weight.ndim < 1 or tuple(scale.shape) != (weight.shape[0],):
        raise GraphError(
            f"The scales of {name!r} (shape {tuple(weight.shape)}) have the wrong shape {tuple(scale.shape)}."
        )
    if not all(is_valid_scale(value, fmt.high) for value in scale.tolist()):
        raise GraphError(f"The scales of {name!r} in {fmt.scale!r} are not all positive float32 numbers.")


def check_tensors(graph: Graph) -> None:
    """Check that every tensor is used, has the dtype that its use requires, and has finite values.

    Raises:
        GraphError: with the tensor's name.
    """
    used = {name for node in graph.nodes for name in node.tensors.values()}
    scales = {fmt.scale for fmt in graph.numerics.weights.values()}
    for name in graph.tensors.keys() - used - scales:
        raise GraphError(f"The tensor {name!r} is not used by any operation.")
    for name in graph.buffers - used:
        raise GraphError(f"There is no tensor {name!r}, although it is listed as a buffer.")
    for name, tensor in graph.tensors.items():
        if tensor.numel() == 0:
            raise GraphError(f"The tensor {name!r} is empty.")
    check_finite(graph)
    _check_types(graph)
    _check_formats(graph)


def check_finite(graph: Graph) -> None:
    """Check that no tensor holds NaN or infinity.

    Raises:
        GraphError: with the tensor's name.
    """
    for name, tensor in graph.tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise GraphError(f"The tensor {name!r} holds NaN or infinity. Was it saved after a diverged training?")


def _check_types(graph: Graph) -> None:
    """Indices must be int64 and in range; constants may have any dtype; all others must have one floating-point dtype."""
    used: dict[torch.dtype, str] = {}
    for node in graph.nodes:
        for role, name in node.tensors.items():
            tensor = graph.tensors[name]
            if role == "index":
                channels = graph[node.inputs[0]].shape[0]
                inside = tensor.dtype == torch.int64 and int(tensor.min()) >= 0 and int(tensor.max()) < channels
                require(inside, node, f"the tensor {name!r} must be int64 indices of its {channels} channels")
            elif node.op != "constant":
                require(tensor.dtype in FLOATS, node, f"the tensor {name!r} is {tensor.dtype}, not floating point")
                used.setdefault(tensor.dtype, name)
    if len(used) > 1:
        mixed = ", ".join(f"{name!r} is {dtype}" for dtype, name in used.items())
        raise GraphError(f"The tensors have different dtypes: {mixed}.")


def _check_formats(graph: Graph) -> None:
    """Only weights of convolutions and linear layers may have a quantization format, if they have no second role."""
    roles: dict[str, set[tuple[str, str]]] = {}
    for node in graph.nodes:
        for role, name in node.tensors.items():
            roles.setdefault(name, set()).add((node.op, role))
    weights = {(op.name, "weight") for op in OPS.values() if op.name in ("conv2d", "linear")}
    for name, fmt in graph.numerics.weights.items():
        if not roles.get(name, set()) <= weights or fmt.scale in roles or name not in roles:
            raise GraphError(
                f"{name!r} has a quantization format, but is not only the weight of convolutions or linear layers."
            )
