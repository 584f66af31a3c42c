"""What is given up of a network's weights for the sake of its file, as one frozen, checked value."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketcnn.errors import UsageError

Bits = Annotated[int, Field(ge=1, le=8)]
FLOAT_DIGITS = 24
"""Binary digits of a float32, the hidden one included."""


class ClusterSettings(BaseModel):
    """How weights of convolutions and linear layers are pruned and shared, and how exact everything else stays.

    Attributes:
        density: the share of all weights that is kept, the largest by magnitude; None keeps all.
        bits: a layer's weights share 2^bits values; None leaves each its own.
        bits_of: bits of single layers, by the name of their weight.
        keep: names of weights that are neither pruned nor shared.
        digits: significant binary digits of what stays in floating point (biases, shared values, batch norms);
            11 are those of float16, whose range is not enforced, and 24 change nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    density: float | None = Field(default=None, gt=0, le=1)
    bits: Bits | None = 6
    bits_of: Mapping[str, Bits] = Field(default_factory=dict)
    keep: frozenset[str] = frozenset()
    digits: int = Field(default=11, ge=2, le=FLOAT_DIGITS)

    def bits_for(self, weight: str) -> int | None:
        """The bits of the weight tensor of this name; None where it is not shared."""
        return None if weight in self.keep else self.bits_of.get(weight, self.bits)

    @classmethod
    def checked(cls, **fields: Any) -> "ClusterSettings":
        """The settings with these fields.

        Raises:
            UsageError: a value is out of range.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            raise UsageError(
                f"Coding with {place} = {problem['input']!r} is not possible: {problem['msg']}."
            ) from error
