"""Settings of pruning and clustering for a small model file, as one frozen, checked value."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketcnn.errors import UsageError

Bits = Annotated[int, Field(ge=1, le=8)]
FLOAT_DIGITS = 24
"""Significant binary digits of a float32, including the implicit one."""


class ClusterSettings(BaseModel):
    """How the weights of convolutions and linear layers are pruned and clustered, and how other values are rounded.

    Attributes:
        density: share of all weights to keep, the largest by magnitude; None keeps all.
        bits: each layer gets a codebook of 2^bits values; None clusters no layer.
        bits_of: bits of single layers, by the name of their weight.
        keep: names of weights that are neither pruned nor clustered.
        digits: significant binary digits of biases, codebooks and batch normalization. 11 is the precision of float16 (its
            exponent range is not enforced); 24 is float32.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    density: float | None = Field(default=None, gt=0, le=1)
    bits: Bits | None = 6
    bits_of: Mapping[str, Bits] = Field(default_factory=dict)
    keep: frozenset[str] = frozenset()
    digits: int = Field(default=11, ge=2, le=FLOAT_DIGITS)

    def bits_for(self, weight: str) -> int | None:
        """The bits of the weight tensor of this name; None if it is not clustered."""
        return None if weight in self.keep else self.bits_of.get(weight, self.bits)

    @classmethod
    def checked(cls, **fields: Any) -> "ClusterSettings":
        """Build the settings from these fields.

        Raises:
            UsageError: a value is out of range.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            field = ".".join(map(str, problem["loc"]))
            raise UsageError(
                f"The clustering setting {field} = {problem['input']!r} is not valid: {problem['msg']}."
            ) from error
