"""The cost figures of `count`, per layer and in total, for one image."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "MAdds": "multiply-adds of convolutions and linear layers for one image, squeeze-and-excite included; bias, "
        "batch norm, activations, pooling, element-wise sums and products count zero, as in the papers",
        "FLOPs": "2 x MAdds: a multiply-add is a multiplication and an addition",
        "parameters": "trainable values; a shared one counts once, in the first layer that has it",
        "weights": "bytes of all stored tensors in their current formats, running statistics and scales included",
        "memory access": "bytes of inputs and weights read and of outputs written, once each, summed over the layers",
        "intensity": "arithmetic intensity: MAdds per byte of memory access; 2 x this is FLOPs per byte",
        "live memory": "bytes of all activations in memory while the layer runs, the image included; element-wise layers run "
        "in place, views take none; the maximum over the layers is the peak",
    }
)
"""Definition of each figure, for reports."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The cost of one operation.

    Attributes:
        name: name of the node; op: its operation; shape: shape of its output, per image.
        madds: multiply-adds; share: their share of the network's, 0 to 1.
        params: trainable values that no earlier layer has.
        weight_bytes: bytes of its tensors that no earlier layer has, in their current formats.
        input_bytes, output_bytes: bytes of the activations that it reads and writes; 0 for a view.
        live_bytes: bytes of all activations in memory while it runs.
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
        """Bytes of weights and inputs read and outputs written, once each."""
        return self.weight_bytes + self.input_bytes + self.output_bytes

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-add is two."""
        return 2 * self.madds

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: multiply-adds per byte of memory access; 0 without memory access."""
        return self.madds / self.memory_access_bytes if self.memory_access_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a network; `layers` are in execution order, without the input.

    Attributes:
        madds: multiply-adds of convolutions and linear layers, squeeze-and-excite included. Bias, batch norm,
            activations, pooling, additions and data movement count zero, as in the papers.
        params: trainable values: weights, biases, scale and offset of batch norm; no running statistics, no indices.
        weight_bytes: bytes of all tensors that inference needs. A quantized weight takes 1 byte, the scale of each
            channel 4; a bias takes 4 (int32 or float32), as do all float values. The running statistics of a batch
            norm that is not folded count, since they are stored.
        peak_activation_bytes: the largest number of bytes of activations in memory at the same time, see `live_bytes`.
        peak_layer: name of the node that runs at the peak.
        memory_access_bytes: bytes of weights and inputs read and outputs written, once each, summed over the layers.
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
        """Arithmetic intensity: multiply-adds per byte of memory access."""
        return self.madds / self.memory_access_bytes if self.memory_access_bytes else 0.0
