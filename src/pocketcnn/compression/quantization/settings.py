"""Settings of quantization: calibration, bits, and the corrections of the literature."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketcnn.errors import UsageError
from pocketcnn.graph.numerics import Bits


class AdaRoundSettings(BaseModel):
    """Settings of AdaRound (`adaround.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: Annotated[int, Field(ge=1)] = 300
    samples: Annotated[int, Field(ge=1)] = 2048
    """Output positions of a layer on which its error is measured."""
    batch: Annotated[int, Field(ge=1)] = 256
    """Positions per iteration."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.03
    regularization: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Weight of the regularizer that drives each soft rounding to 0 or 1, relative to the error of rounding to nearest."""


class QuantizeSettings(BaseModel):
    """How `quantize` chooses integers. Building it directly raises pydantic's `ValidationError`.

    Attributes:
        method: how the range of an activation is chosen, one of `calibrate.METHODS`.
        activation_bits: 2 to 8.
        weight_bits: 2 to 8, of weights that `layer_bits` does not name.
        symmetric_activations: put the zero point of signed activations in the middle of the integers.
        per_channel: one weight scale per output channel, or one per tensor.
        weight_range: ``max`` maps the largest weight to the largest integer; ``mse`` saturates weights beyond the range with
            the least mean square error.
        equalize: cross-layer equalization (`equalize.py`): ``none``, by the ranges of the ``weights`` as in its paper, or by
            the observed ranges of the ``activations``.
        relu6: for equalization: ``keep`` ReLU6 and the scale of its channels, or ``replace`` it by ReLU and equalize them.
        rounding: of weights: ``nearest``, or ``adaptive`` (`adaround.py`).
        adaround: settings of adaptive rounding.
        bias_correction: subtract the shift of each channel's mean from the bias (`bias_correction.py`).
        layer_bits: by node name, the weight bits of single layers.
        weight_bytes: a limit on the bytes of the weights. The least sensitive layers get `low_bits` until it is met
            (`mixed_precision.py`).
        low_bits: the weight bits of these layers.
        skip: names of nodes whose weights and output stay in float.
        seed: of the positions and batches that adaptive rounding samples.
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
        """A copy with some fields changed and checked.

        Raises:
            UsageError: a field is unknown or its value is out of range.
        """
        try:
            return QuantizeSettings.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in problem["loc"])
            raise UsageError(f"The quantization setting {field} is not valid: {problem['msg']}.") from error

    def bits_of(self, layer: str) -> int:
        """The weight bits of a layer, by node name."""
        return self.layer_bits.get(layer, self.weight_bits)
