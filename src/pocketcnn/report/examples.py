"""Test images to show in a report, with what the deployable file said about them."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

LONGEST_SIDE = 128  # pixels; a larger image is shown smaller, to keep the report small


@dataclass(frozen=True)
class Example:
    """One test image, its class, the class that the file predicted, and the probability it gave to that, if known."""

    image: Image.Image
    true: str
    predicted: str
    probability: float | None = None

    @property
    def correct(self) -> bool:
        """Whether the file was right."""
        return self.true == self.predicted

    @property
    def data_uri(self) -> str:
        """The image as a PNG inside a ``data:`` address."""
        thumbnail = self.image.convert("L" if self.image.mode in ("1", "L") else "RGB")
        thumbnail.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        buffer = io.BytesIO()
        thumbnail.save(buffer, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
