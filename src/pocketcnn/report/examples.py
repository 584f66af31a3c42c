"""Test images for the report, with the predictions of the deployable file."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

LONGEST_SIDE = 128  # pixels; larger images are scaled down, to keep the report small


@dataclass(frozen=True)
class Example:
    """A test image with its true class, the predicted class, and the probability of the latter, if known."""

    image: Image.Image
    true: str
    predicted: str
    probability: float | None = None

    @property
    def correct(self) -> bool:
        """Whether the prediction is correct."""
        return self.true == self.predicted

    @property
    def data_uri(self) -> str:
        """The image as a PNG in a ``data:`` URI."""
        thumbnail = self.image.convert("L" if self.image.mode in ("1", "L") else "RGB")
        thumbnail.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        buffer = io.BytesIO()
        thumbnail.save(buffer, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
