"""The tensors of a network as a model file stores them: quantized weights as int8 codes, everything else as it is."""

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
    """What goes into the file, by name: codes in place of weights that have a format; on the CPU and contiguous."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in graph.tensors.items()}
    for name, fmt in graph.numerics.weights.items():
        scale = stored[fmt.scale]
        _check_scale(name, stored[name], scale, fmt)
        stored[name] = quantize_weight(stored[name], scale, fmt).to(torch.int8)
    return stored


def restored_tensors(stored: Mapping[str, Tensor], numerics: Numerics) -> dict[str, Tensor]:
    """The tensors of the graph: codes become code x scale in float32, which stands for the same code again.

    (A float32 product and quotient are each off by half a unit in the last place at most, far from the half that
    rounding to the code forgives.)

    Raises:
        GraphError: a format for a tensor that is absent or not stored as codes, or scales that are not usable.
    """
    tensors = dict(stored)
    for name, fmt in numerics.weights.items():
        if name not in stored or fmt.scale not in stored:
            raise GraphError(f"There is a number format for {name!r}, but no tensor {name!r} or {fmt.scale!r}.")
        codes, scale = stored[name], stored[fmt.scale]
        if codes.dtype != torch.int8:
            raise GraphError(f"The tensor {name!r} is {codes.dtype}, int8 is needed: it has a number format.")
        if bool((codes.to(torch.int16).abs() > fmt.high).any()):
            raise GraphError(f"The tensor {name!r} has codes beyond ±{fmt.high}.")
        weight = codes.to(torch.float32)
        _check_scale(name, weight, scale, fmt)
        tensors[name] = weight * per_channel(scale, weight)
    return tensors


def _check_scale(name: str, weight: Tensor, scale: Tensor, fmt: WeightFormat) -> None:
    if weight.dtype != torch.float32 or scale.dtype != torch.float32:
        raise GraphError(f"The tensor {name!r} and its scales are {weight.dtype}, {scale.dtype}; float32 is needed.")
    if weight.ndim < 1 or tuple(scale.shape) != (weight.shape[0],):
        raise GraphError(f"The scales of {name!r}, of shape {tuple(weight.shape)}, have shape {tuple(scale.shape)}.")
    if not all(is_valid_scale(value, fmt.high) for value in scale.tolist()):
        raise GraphError(f"The scales of {name!r} in {fmt.scale!r} are not all positive float32 numbers.")


def check_tensors(graph: Graph) -> None:
    """Check what shapes do not tell: that every tensor has a use, the type that its use needs, and finite values.

    Raises:
        GraphError: with the tensor's name.
    """
    used = {name for node in graph.nodes for name in node.tensors.values()}
    scales = {fmt.scale for fmt in graph.numerics.weights.values()}
    for name in graph.tensors.keys() - used - scales:
        raise GraphError(f"The tensor {name!r} belongs to no operation.")
    for name in graph.buffers - used:
        raise GraphError(f"There is no tensor {name!r}, which is said not to be trained.")
    for name, tensor in graph.tensors.items():
        if tensor.numel() == 0:
            raise GraphError(f"The tensor {name!r} is empty.")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise GraphError(f"The tensor {name!r} holds NaN or infinity. Was it saved after a diverged training?")
    _check_types(graph)
    _check_formats(graph)


def _check_types(graph: Graph) -> None:
    """Indices are int64 and in range; constants may be of any type; all else is floating point, and of one type."""
    used: dict[torch.dtype, str] = {}
    for node in graph.nodes:
        for role, name in node.tensors.items():
            tensor = graph.tensors[name]
            if role == "index":
                channels = graph[node.inputs[0]].shape[0]
                inside = tensor.dtype == torch.int64 and int(tensor.min()) >= 0 and int(tensor.max()) < channels
                require(inside, node, f"the tensor {name!r} is no list of its {channels} channels")
            elif node.op != "constant":
                require(tensor.dtype in FLOATS, node, f"the tensor {name!r} is {tensor.dtype}, not floating point")
                used.setdefault(tensor.dtype, name)
    if len(used) > 1:
        mixed = ", ".join(f"{name!r} is {dtype}" for dtype, name in used.items())
        raise GraphError(f"The tensors are of different types: {mixed}.")


def _check_formats(graph: Graph) -> None:
    """Number formats are for weights of convolutions and linear layers, and for nothing that plays another part too."""
    roles: dict[str, set[tuple[str, str]]] = {}
    for node in graph.nodes:
        for role, name in node.tensors.items():
            roles.setdefault(name, set()).add((node.op, role))
    weights = {(op.name, "weight") for op in OPS.values() if op.name in ("conv2d", "linear")}
    for name, fmt in graph.numerics.weights.items():
        if not roles.get(name, set()) <= weights or fmt.scale in roles or name not in roles:
            raise GraphError(f"The number format of {name!r} is not that of a weight of a convolution or linear layer.")
