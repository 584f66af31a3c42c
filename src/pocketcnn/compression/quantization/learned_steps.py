"""Quantization-aware training with learned step sizes (LSQ).

Esser, McKinstry, Bablani, Appuswamy and Modha, "Learned Step Size Quantization" (ICLR 2020), section 2. Steps start from
those of a quantized network. Weights have one step per output channel. Zero points are fixed. Biases are trained in float:
their int32 steps are fine enough.
"""

from math import prod

import torch
from torch import Tensor, nn

from pocketcnn.compression.quantization.placement import Placement, placements
from pocketcnn.compression.quantization.weights import SCALE_STEPS
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, Node, Numerics, WeightFormat
from pocketcnn.graph.fake_quantize import per_channel
from pocketcnn.layers.training_hooks import Reparameterizable

MIN_STEP_RATIO = 1 / 64
"""Steps stay above this share of their initial value; a step must be positive."""


class LearnedSteps(nn.Module, Reparameterizable):
    """A quantized network with trainable step sizes; `reparameterize` returns the network with the learned steps.

    Weights and biases are those of `network`, a float copy of the given network, under their own names.

    Raises:
        UsageError: the network is not quantized.
    """

    def __init__(self, quantized: GraphNetwork) -> None:
        super().__init__()
        graph = quantized.graph
        if not graph.numerics:
            raise UsageError("A float network has no quantization steps to learn. Quantize it first.")
        self._numerics = graph.numerics
        self.info = quantized.info
        self.network = GraphNetwork(graph.rebuilt(numerics=Numerics()), quantized.info)
        self._owners = _owners(graph)
        own = [name for name, owner in self._owners.items() if name == owner]
        self._index = {name: index for index, name in enumerate(own)}
        self._sizes = {name: prod(graph[name].shape) for name in own}
        begin = torch.tensor([graph.numerics.activations[name].scale for name in own])
        self.activation_steps = nn.Parameter(begin)
        self.register_buffer("least_activation_steps", begin * MIN_STEP_RATIO)
        scales = [graph.tensors[fmt.scale].detach().clone() for fmt in graph.numerics.weights.values()]
        self.weight_steps = nn.ParameterList(scales)
        for index, scale in enumerate(scales):
            self.register_buffer(f"least_weight_steps_{index}", scale * MIN_STEP_RATIO)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes), with every weight and activation quantized."""
        steps = self._activation_steps()
        formats = self._numerics.activations

        def store(node: Node, value: Tensor) -> Tensor | None:
            index = self._index.get(node.name)
            if index is None:  # in float, or a view of a quantized value
                return None
            fmt = formats[node.name]
            low, high = fmt.low - fmt.zero_point, fmt.high - fmt.zero_point
            return store_in_steps(value, steps[index], low, high, self._sizes[node.name])

        weights = {
            name: self._stored_weight(name, fmt, index)
            for index, (name, fmt) in enumerate(self._numerics.weights.items())
        }
        with self.network.observed(store):
            answer: Tensor = torch.func.functional_call(self.network, weights, (x,))
        return answer

    def _stored_weight(self, name: str, fmt: WeightFormat, index: int) -> Tensor:
        path, _, leaf = name.rpartition(".")
        weight: Tensor = getattr(self.network.get_submodule(path), leaf)
        step = per_channel(self._weight_steps(index), weight)
        return store_in_steps(weight, step, -fmt.high, fmt.high, weight[0].numel())

    def _weight_steps(self, index: int) -> Tensor:
        return _on_grid(torch.maximum(self.weight_steps[index], self.get_buffer(f"least_weight_steps_{index}")))

    def _activation_steps(self) -> Tensor:
        return torch.maximum(self.activation_steps, self.get_buffer("least_activation_steps"))

    def reparameterize(self) -> GraphNetwork:
        """The quantized network with the learned steps."""
        steps = self._activation_steps().tolist()
        activations = {
            name: fmt.model_copy(update={"scale": steps[self._index[self._owners[name]]]})
            for name, fmt in self._numerics.activations.items()
        }
        weights = self._numerics.weights
        scales = {fmt.scale: self._weight_steps(index).detach() for index, fmt in enumerate(weights.values())}
        graph = self.network.graph
        tensors = {name: tensor.detach().clone() for name, tensor in graph.tensors.items()}
        numerics = Numerics(activations=activations, weights=weights)
        return GraphNetwork(graph.rebuilt(tensors={**tensors, **scales}, numerics=numerics), self.info)


def store_in_steps(value: Tensor, step: Tensor, low: int, high: int, count: int) -> Tensor:
    """Quantize `value` to multiples of `step` from `low` to `high` and return it in float.

    The gradient of the step is scaled by 1 / sqrt(count x largest integer), so that steps and weights learn at the same pace
    (section 2.2).

    Args:
        value: any shape.
        step: positive; broadcasts to `value`.
        low, high: smallest and largest integer.
        count: values of one image, or weights, that share the step.
    """
    factor = (count * max(high, -low)) ** -0.5
    stored: Tensor = _StoreInSteps.apply(value, step, low, high, factor)  # type: ignore[no-untyped-call]
    return stored


class _StoreInSteps(torch.autograd.Function):
    """Equations 1 and 2 of the paper; backward: equation 3 for the step, straight-through for the value."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, value: Tensor, step: Tensor, low: int, high: int, factor: float
    ) -> Tensor:
        exact = value / step
        rounded = torch.round(exact)
        fits = (rounded >= low) & (rounded <= high)
        rounded.clamp_(low, high)
        ctx.save_for_backward(fits, torch.where(fits, rounded - exact, rounded))
        ctx.factor, ctx.step_shape = factor, step.shape  # type: ignore[attr-defined]
        return rounded * step

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        fits, slope = ctx.saved_tensors  # type: ignore[attr-defined]
        of_step = (gradient * slope).sum_to_size(ctx.step_shape) * ctx.factor  # type: ignore[attr-defined]
        return gradient * fits, of_step, None, None, None


def _on_grid(step: Tensor) -> Tensor:
    """Steps (N,) as multiples of 1/255 of the largest, as a file stores them; gradients pass straight through."""
    unit = step.detach().max() / SCALE_STEPS
    return step + (torch.round(step / unit).clamp(1, SCALE_STEPS) * unit - step).detach()


def _owners(graph: Graph) -> dict[str, str]:
    """For each value with a format, the value whose step it uses: its own, or that of the value that it is a view of."""
    formats, placed = graph.numerics.activations, placements(graph)
    owners: dict[str, str] = {}
    for node in graph.nodes:
        if node.name in formats:
            moved = placed[node.name] is Placement.SAME and formats.get(node.inputs[0]) == formats[node.name]
            owners[node.name] = owners[node.inputs[0]] if moved else node.name
    return owners
