"""The input contract in words: every step from an image file to the network's input."""

from pocketcnn.graph.contract import InputContract
from pocketcnn.report.standalone import INLINE_CLASSES as INLINE_CLASSES
from pocketcnn.report.standalone import snippet as snippet


def _scaling(low: int, high: int) -> str:
    value = "value" if (low, high) == (0, 65535) else f"(clip(value, {low}, {high}) - {low})"
    return f"({value} * 255 + {(high - low) // 2}) // {high - low}"


def steps(contract: InputContract, *, channels_last: bool = False) -> list[str]:
    """The preprocessing of an image file, one phrase for each step; `channels_last` for files with input (N, H, W, C)."""
    height, width = contract.height, contract.width
    resize = {
        "stretch": f"resize it to {width} x {height} pixels (width x height), without keeping the aspect ratio "
        "(Pillow's Image.resize)",
        "crop": f"scale it to cover {width} x {height} pixels (width x height), and crop the centre (ImageOps.fit)",
        "letterbox": f"scale it to fit into {width} x {height} pixels (width x height), and fill the rest with black, "
        "the image in the middle (ImageOps.pad)",
    }[contract.resize]
    mean, std = (", ".join(f"{value:.6g}" for value in values) for values in (contract.mean, contract.std))
    return [
        "read the image, of an animation the first frame, and rotate it by its EXIF orientation",
        f"scale 16-bit grey to 8 bits: {_scaling(*contract.deep_range)}; 16-bit colour: the upper byte, as Pillow reads it",
        "blend transparent pixels with white",
        "convert it to RGB, also from CMYK, palettes and other colour spaces (Pillow's Image.convert)"
        if contract.channels == 3
        else "convert it to RGB, also from CMYK and palettes, and then to grey: the luminance of ITU-R 601 "
        "(Pillow's Image.convert)",
        f"{resize}, with Pillow's {contract.interpolation} interpolation, which averages when it reduces",
        "divide by 255",
        f"subtract {mean} and divide by {std}" + (" (red, green, blue)" if contract.channels == 3 else ""),
        f"arrange as float32 of shape (1, {height}, {width}, {contract.channels}): image, height, width, channels"
        if channels_last
        else f"arrange as float32 of shape (1, {contract.channels}, {height}, {width}): image, channels, height, width",
    ]
