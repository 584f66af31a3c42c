"""The input contract: preprocessing as data, so that training, calibration, export and the device agree."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ResizePolicy = Literal["stretch", "crop", "letterbox"]
DeepValue = Annotated[int, Field(ge=0, le=65535)]
Interpolation = Literal["nearest", "bilinear", "bicubic"]


class InputContract(BaseModel):
    """The preprocessing from an image file to the network's input tensor of shape (channels, height, width).

    The image is read with `channels` channels (1: luminance, 3: RGB), 16-bit grey scaled from `deep_range`, resized to
    height x width by the policy `resize` (``stretch`` ignores the aspect ratio; ``crop`` scales the short side to fit and cuts
    the centre; ``letterbox`` scales the long side to fit and pads with black), divided by 255, and normalised channel by
    channel: ``(pixel - mean) / std``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3] = 3
    height: Annotated[int, Field(ge=1, le=8192)]
    width: Annotated[int, Field(ge=1, le=8192)]
    resize: ResizePolicy = "stretch"
    interpolation: Interpolation = "bilinear"
    mean: tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
    std: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]
    deep_range: tuple[DeepValue, DeepValue] = (0, 65535)
    """Of 16-bit grey images the values that become 0 and 255; sensors of 12 or 14 bits use a part of the range."""

    @model_validator(mode="after")
    def _rising_range(self) -> Self:
        if self.deep_range[0] >= self.deep_range[1]:
            raise ValueError(f"deep_range must rise, not {self.deep_range}")
        return self

    @model_validator(mode="after")
    def _one_statistic_per_channel(self) -> Self:
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(
                f"mean and std need one value per channel: {self.channels} channels, "
                f"{len(self.mean)} means, {len(self.std)} standard deviations"
            )
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one input."""
        return (self.channels, self.height, self.width)
