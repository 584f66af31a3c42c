"""How a network is quantized, as data: which ranges, how many bits, and which of the repairs of the literature."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketcnn.errors import UsageError
from pocketcnn.graph.numerics import Bits


class AdaRoundSettings(BaseModel):
    """How long adaptive rounding looks for the better of two neighbours (`adaround.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: Annotated[int, Field(ge=1)] = 300
    samples: Annotated[int, Field(ge=1)] = 2048
    """Output positions of a layer that its error is measured on."""
    batch: Annotated[int, Field(ge=1)] = 256
    """Of them, positions that one iteration looks at."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.03
    regularization: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Weight of the term that drives each soft rounding to 0 or 1, in units of the error of rounding to nearest."""


class QuantizeSettings(BaseModel):
    """Everything that decides how `quantize` chooses integers. Building one directly raises pydantic's `ValidationError`.

    Attributes:
        method: how the range of a value is chosen, one of `calibrate.METHODS`.
        activation_bits: 2 to 8, of the values between operations.
        weight_bits: 2 to 8, of the weights that `layer_bits` does not name.
        symmetric_activations: values that may be negative have their zero in the middle of the integers.
        per_channel: one weight scale an output channel, or one for the whole tensor.
        weight_range: the largest weight becomes the largest integer (``max``), or the weights beyond the range with the
            least mean square error saturate (``mse``).
        equalize: cross-layer equalization (`equalize.py`): ``none``, by the ranges of the ``weights`` as in its paper, or
            by those of the ``activations`` that were seen.
        relu6: under equalization, ``keep`` every ReLU6 and the scale of its channels, or ``replace`` it by ReLU, whose
            channels are equalized too.
        rounding: of weights: to the ``nearest`` integer, or ``adaptive`` (`adaround.py`).
        adaround: how adaptive rounding searches.
        bias_correction: take from the biases what quantization adds to the mean of each channel (`bias_correction.py`).
        layer_bits: by node name, the bits of single layers' weights.
        weight_bytes: a bound on the bytes of the weights, reached by giving the layers that stand it the fewer
            `low_bits` (`mixed_precision.py`).
        low_bits: what such layers get.
        skip: names of nodes that stay in float, weights and output.
        seed: of the positions and batches that adaptive rounding draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["minmax", "percentile", "mse", "entropy"] = "mse"
    activation_bits: Bits = 8
    weight_bits: Bits = 8
    symmetric_activations: bool = False
    per_channel: bool = True
    weight_range: Literal["max", "mse"] = "mse"
    equalize: Literal["none", "weights", "activations"] = "none"
    relu6: Literal["keep", "replace"] = "keep"
    rounding: Literal["nearest", "adaptive"] = "nearest"
    adaround: AdaRoundSettings = AdaRoundSettings()
    bias_correction: bool = True
    layer_bits: Mapping[str, Bits] = Field(default_factory=dict)
    weight_bytes: Annotated[int, Field(ge=1)] | None = None
    low_bits: Bits = 4
    skip: frozenset[str] = frozenset()
    seed: Annotated[int, Field(ge=0)] = 0

    def with_(self, **changes: Any) -> "QuantizeSettings":
        """A copy with some fields changed, checked again.

        Raises:
            UsageError: a field is unknown or its value is out of range.
        """
        try:
            return QuantizeSettings.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in problem["loc"])
            raise UsageError(f"The settings of quantization have a mistake at {field}: {problem['msg']}.") from error

    def bits_of(self, layer: str) -> int:
        """The bits of the weights of a layer, by node name."""
        return self.layer_bits.get(layer, self.weight_bits)
