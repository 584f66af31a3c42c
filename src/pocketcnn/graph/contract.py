"""The input contract: preprocessing as data, so that training, calibration, export and the device agree."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ResizePolicy = Literal["stretch", "crop", "letterbox"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]


class InputContract(BaseModel):
    """The preprocessing from an image file to the network's input tensor of shape (channels, height, width).

    The image is read with `channels` channels (1: luminance, 3: RGB), resized to height x width by the policy `resize`
    (``stretch`` ignores the aspect ratio; ``crop`` scales the short side to fit and cuts the centre;
    ``letterbox`` scales the long side to fit and pads with black), divided by 255, and normalised
    channel by channel: ``(pixel - mean) / std``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3] = 3
    height: Annotated[int, Field(ge=1, le=8192)]
    width: Annotated[int, Field(ge=1, le=8192)]
    resize: ResizePolicy = "stretch"
    interpolation: Interpolation = "bilinear"
    mean: tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
    std: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]

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
