"""The input contract in words, and as a script for onnxruntime, Pillow and NumPy."""

import json
from collections.abc import Sequence

from pocketcnn.graph.contract import InputContract

INLINE_CLASSES = 20  # with more classes, the script reads their names from the sidecar


def steps(contract: InputContract, *, channels_last: bool = False) -> list[str]:
    """The preprocessing of an image file, one phrase for each step; `channels_last` for files with input (N, H, W, C)."""
    height, width = contract.height, contract.width
    resize = {
        "stretch": f"resize it to {width} x {height} pixels (width x height), without keeping the aspect ratio",
        "crop": f"scale it to cover {width} x {height} pixels (width x height), and crop the centre",
        "letterbox": f"scale it to fit into {width} x {height} pixels (width x height), and fill the rest with black",
    }[contract.resize]
    mean, std = (", ".join(f"{value:.6g}" for value in values) for values in (contract.mean, contract.std))
    return [
        "read the image as grey (luminance)" if contract.channels == 1 else "read the image as RGB",
        f"{resize}, with {contract.interpolation} interpolation",
        "divide by 255",
        f"subtract {mean} and divide by {std}" + (" (red, green, blue)" if contract.channels == 3 else ""),
        f"arrange as float32 of shape (1, {height}, {width}, {contract.channels}): image, height, width, channels"
        if channels_last
        else f"arrange as float32 of shape (1, {contract.channels}, {height}, {width}): image, channels, height, width",
    ]


def snippet(contract: InputContract, classes: Sequence[str], file: str, sidecar: str) -> str:
    """A script that prints the class of ``image.png``; `file` (ONNX) and `sidecar` are in its folder."""
    return "\n".join(
        [*_imports(contract, classes), "", *_image(contract), *_batch(contract), "", *_run(classes, file, sidecar)]
    )


def _imports(contract: InputContract, classes: Sequence[str]) -> list[str]:
    pillow = "from PIL import Image" if contract.resize == "stretch" else "from PIL import Image, ImageOps"
    lines = ["import numpy as np", "import onnxruntime", pillow]
    return lines if len(classes) <= INLINE_CLASSES else ["import json", "from pathlib import Path", "", *lines]


def _image(contract: InputContract) -> list[str]:
    mode = "L" if contract.channels == 1 else "RGB"
    size = f"({contract.width}, {contract.height})"
    resampling = f"Image.Resampling.{contract.interpolation.upper()}"
    resize = {
        "stretch": f"image = image.resize({size}, {resampling})",
        "crop": f"image = ImageOps.fit(image, {size}, {resampling})",
        "letterbox": f"image = ImageOps.pad(image, {size}, {resampling}, color=0)",
    }[contract.resize]
    return [f'image = Image.open("image.png").convert("{mode}")', resize]


def _batch(contract: InputContract) -> list[str]:
    shape = f"({contract.height}, {contract.width}, {contract.channels})"
    return [
        f"pixels = np.asarray(image, np.float32).reshape{shape} / 255",
        f"pixels = (pixels - np.float32({list(contract.mean)})) / np.float32({list(contract.std)})",
        "batch = pixels.transpose(2, 0, 1)[None]",
    ]


def _run(classes: Sequence[str], file: str, sidecar: str) -> list[str]:
    names = json.dumps(list(classes), ensure_ascii=False)
    if len(classes) > INLINE_CLASSES:
        names = f'json.loads(Path({_quoted(sidecar)}).read_text(encoding="utf-8"))["classes"]'
    return [
        f'session = onnxruntime.InferenceSession({_quoted(file)}, providers=["CPUExecutionProvider"])',
        "(logits,) = session.run(None, {session.get_inputs()[0].name: batch})",
        f"classes = {names}",
        "print(classes[int(logits[0].argmax())])",
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
