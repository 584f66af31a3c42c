"""ncnn on the CPU: one image at a time, float32, or int8 in convolutions and linear layers."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.runtimes.base import Deployment, FloatArray, Numerics, SessionInfo, why_absent

if TYPE_CHECKING:
    from pocketcnn.graph.network import GraphNetwork

MAGIC = "7767517"

SETTINGS: Mapping[str, bool] = MappingProxyType(
    {"use_fp16_packed": False, "use_fp16_storage": False, "use_fp16_arithmetic": False, "use_bf16_storage": False}
)
"""Options that are switched off: on CPUs with support, ncnn would compute in half precision (about 3 digits)."""


class NcnnRuntime:
    """Runs ncnn networks. Artefact: the path of a .param file, with the .bin file of the same stem beside it."""

    name = "ncnn"
    distribution = "ncnn"
    library = "ncnn"
    suffix = ".param"
    companions: tuple[str, ...] = (".bin",)
    numerics: tuple[Numerics, ...] = ("float32", "int8")
    deployment = Deployment(
        note="ncnn takes one image (C, H, W) at a time. Switch off use_fp16_packed, use_fp16_storage, use_fp16_arithmetic "
        "and use_bf16_storage for outputs in full precision.",
    )

    def available(self) -> str | None:
        return why_absent(self.library, "ncnn")

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        from pocketcnn.formats.ncnn import write_ncnn

        return write_ncnn(path, network.graph)

    def build(self, artefact: object, *, threads: int) -> "NcnnSession":
        if not isinstance(artefact, str | os.PathLike):
            raise UsageError(
                f"The runtime ncnn takes a .param file, not a {type(artefact).__name__}. "
                "Export the network first: pocketcnn.export(network, to='ncnn', out='model.param')."
            )
        param = Path(artefact)
        for path in (param, param.with_suffix(".bin")):
            if not path.is_file():
                raise UsageError(f"There is no file {path}. ncnn needs two files: .param (layers) and .bin (weights).")
        if self.available() is not None:
            raise MissingExtra("The runtime ncnn", "ncnn")
        return NcnnSession(param, threads)


class NcnnSession:
    """One `ncnn.Net` with `threads` threads; the images of a batch run one after another."""

    def __init__(self, param: Path, threads: int) -> None:
        import ncnn

        channels, height, width = _image_shape(param)
        self.input_shape = (None, channels, height, width)
        self.info = SessionInfo(
            "ncnn", version("ncnn"), threads, {**{name: str(value) for name, value in SETTINGS.items()}, "batch": "1"}
        )
        self._ncnn: Any = ncnn
        net = ncnn.Net()
        net.opt.num_threads = threads
        for name, value in SETTINGS.items():
            setattr(net.opt, name, value)
        if net.load_param(str(param)) != 0:
            raise PocketcnnError(f"ncnn cannot load {param}: a layer is unknown or invalid. Export it again.")
        if net.load_model(str(param.with_suffix(".bin"))) != 0:
            raise PocketcnnError(
                f"ncnn cannot load {param}: it does not match the .bin file beside it. Export both again."
            )
        self._input = net.input_names()[0]
        self._output = _output(net.output_names(), param)
        self._net: Any = net

    def run(self, batch: FloatArray) -> FloatArray:
        if self._net is None:
            raise PocketcnnError("This session is closed. Build another.")
        if batch.ndim != 4 or not len(batch) or batch.shape[1:] != self.input_shape[1:]:
            expected = ", ".join(map(str, self.input_shape[1:]))
            raise PocketcnnError(f"ncnn cannot run a batch of shape {batch.shape}: the network takes (N, {expected}).")
        return np.stack([self._scores(image) for image in np.ascontiguousarray(batch, np.float32)])

    def _scores(self, image: FloatArray) -> FloatArray:
        extractor = self._net.create_extractor()
        # A copy, because a Mat shares the memory of its array and ncnn may compute in place.
        extractor.input(self._input, self._ncnn.Mat(image).clone())
        failed, scores = extractor.extract(self._output)
        if failed != 0:
            raise PocketcnnError(f"ncnn failed to run the network (error code {failed}).")
        return np.array(scores)  # a copy, because ncnn frees its memory

    def blobs(self, image: FloatArray, names: Sequence[str]) -> dict[str, FloatArray]:
        """The values of blobs for one image (C, H, W), int8 ones as integers in float32."""
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)  # otherwise blobs are freed once they were read
        extractor.input(self._input, self._ncnn.Mat(image).clone())
        found = {}
        for name in names:
            failed, value = extractor.extract(name)
            if failed != 0:
                raise PocketcnnError(f"ncnn does not give the value {name!r} (error code {failed}).")
            found[name] = np.array(value)
        return found

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """No process-wide settings: the number of threads belongs to the session."""
        yield

    def close(self) -> None:
        self._net = None


def all_blobs(param: Path, batch: FloatArray, names: Sequence[str]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """The outputs of a network for a batch (N, C, H, W), and the values (N, ...) of the blobs `names`."""
    session = NcnnSession(param, 1)
    images = [session.blobs(image, names) for image in np.ascontiguousarray(batch, np.float32)]
    return session.run(batch), {name: np.stack([image[name] for image in images]) for name in names}


def _image_shape(param: Path) -> tuple[int, int, int]:
    """(C, H, W) of the single input in a .param file; ncnn itself validates neither the file nor the image."""
    lines = param.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != MAGIC:
        raise PocketcnnError(f"{param} is not an ncnn .param file.")
    inputs = [line.split() for line in lines[2:] if line.startswith("Input ")]
    if len(inputs) != 1:
        raise PocketcnnError(f"{param} has {len(inputs)} inputs; it must have one. Export it with a single input.")
    params = dict(field.split("=", 1) for field in inputs[0] if "=" in field)
    sizes = [params.get(key, "0") for key in ("2", "1", "0")]
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise PocketcnnError(
            f"{param} does not declare the size of its images: its Input needs the parameters 0=, 1= and 2=."
        )
    channels, height, width = map(int, sizes)
    return channels, height, width


def _output(names: list[str], param: Path) -> str:
    """The network's output among the values that no layer reads: the only one, or the one with the exporter's name."""
    if len(names) != 1 and "output" not in names:
        raise PocketcnnError(
            f"{param} has {len(names)} outputs ({', '.join(names)}); it must have one. Export it with a single output."
        )
    return names[0] if len(names) == 1 else "output"
