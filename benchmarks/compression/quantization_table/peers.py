"""Static quantization of the same ONNX file by ONNX Runtime's own tool and by NNCF, with the same calibration images."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
from torch import Tensor


class _Reader:
    """Calibration images one by one, as ONNX Runtime's calibrators ask for them."""

    def __init__(self, images: Tensor, name: str) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter([{name: image[None].numpy()} for image in images])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def input_name(path: Path) -> str:
    return str(onnx.load(path).graph.input[0].name)


def by_onnxruntime(float_file: Path, out: Path, images: Tensor, calibrator: str) -> Path:
    """Per-channel int8 weights and uint8 activations in QDQ form, after its own preprocessing; `calibrator` as it names them."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = out.with_suffix(".prepared.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            quant_pre_process(str(float_file), str(prepared))
            quantize_static(
                str(prepared),
                str(out),
                _Reader(images, input_name(prepared)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod[calibrator],
            )
        finally:
            logging.disable(logging.NOTSET)
    return out


def by_nncf(float_file: Path, out: Path, images: Tensor, *, accurate_bias: bool) -> Path:
    """NNCF's post-training quantization of the ONNX file with its mixed preset (symmetric weights, asymmetric activations)."""
    import nncf

    model = onnx.load(float_file)
    name = str(model.graph.input[0].name)
    data = nncf.Dataset([image[None].numpy() for image in images], lambda image: {name: image})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = nncf.quantize(
            model,
            data,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            fast_bias_correction=not accurate_bias,
        )
    onnx.save(quantized, out)
    return out


PEERS: Mapping[str, Callable[[Path, Path, Tensor], Path]] = MappingProxyType(
    {
        "ONNX Runtime MinMax": partial(by_onnxruntime, calibrator="MinMax"),
        "ONNX Runtime Entropy": partial(by_onnxruntime, calibrator="Entropy"),
        "ONNX Runtime Percentile": partial(by_onnxruntime, calibrator="Percentile"),
        "NNCF": partial(by_nncf, accurate_bias=False),
        "NNCF with accurate bias correction": partial(by_nncf, accurate_bias=True),
    }
)
"""Makes a file at the second path of the float one at the first, calibrated on images (N, C, H, W)."""
