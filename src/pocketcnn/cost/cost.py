"""The figures of `count`, for each layer and in all. Everything is for one image."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "MAdds": "multiply-adds of convolutions and linear layers for one image, those of squeeze-and-excite included; "
        "bias, batch norm, activations, pooling, additions and products of maps count nothing, as in the papers",
        "FLOPs": "2 x MAdds: a multiply-add is a multiplication and an addition",
        "parameters": "learnable numbers; each counts once, in the first layer that holds it",
        "weights": "bytes of all stored tensors in the present number formats, running statistics and scales included",
        "memory access": "bytes of inputs and weights read and of outputs written, once each, layer by layer",
        "intensity": "arithmetic intensity: MAdds for each byte of memory access; 2 x this is FLOPs a byte",
        "live memory": "bytes of all activations that are in memory while the layer runs, the image included; element-wise "
        "layers work in place, views take none; its maximum is the peak",
    }
)
"""What each figure means, for whoever prints them."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one operation costs.

    Attributes:
        name: of the node; op: its operation; shape: of its output, per image.
        madds: multiply-adds; share: its part of the network's, 0 to 1.
        params: learnable numbers that no layer before it holds.
        weight_bytes: of its tensors that no layer before it holds, in the present number formats.
        input_bytes, output_bytes: of the activations that it reads and writes; none for a view, which does no work.
        live_bytes: of all activations in memory while it runs.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    madds: int
    share: float
    params: int
    weight_bytes: int
    input_bytes: int
    output_bytes: int
    live_bytes: int

    @property
    def memory_access_bytes(self) -> int:
        """Weights and inputs read, outputs written, once each."""
        return self.weight_bytes + self.input_bytes + self.output_bytes

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-add is two."""
        return 2 * self.madds

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: multiply-adds for each byte of memory access; 0 for what accesses none."""
        return self.madds / self.memory_access_bytes if self.memory_access_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs; `layers` are in the order in which they run, without the input.

    Attributes:
        madds: multiply-accumulates of convolutions and linear layers, those in squeeze-and-excite included. Bias,
            batch norm, activations, pooling, additions and data movement count nothing, as in the papers.
        params: learnable numbers: weights, biases, scale and offset of batch norm; no running statistics, no index lists.
        weight_bytes: of all tensors that inference needs. A weight in an integer format takes 1 byte, and 4 for each
            channel's scale; a bias takes 4 (int32 or float32), as does everything in float. Running statistics of a batch
            norm that is not folded count, since they are stored.
        peak_activation_bytes: of the activations alive at once, at the worst moment; see `live_bytes`.
        peak_layer: name of the node that runs at that moment.
        memory_access_bytes: for each layer, weights and inputs read and outputs written once.
    """

    madds: int
    params: int
    weight_bytes: int
    peak_activation_bytes: int
    peak_layer: str
    memory_access_bytes: int
    layers: tuple[LayerCost, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-add is two."""
        return 2 * self.madds

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: multiply-adds for each byte of memory access."""
        return self.madds / self.memory_access_bytes if self.memory_access_bytes else 0.0
