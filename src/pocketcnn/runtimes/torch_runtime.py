"""PyTorch as a runtime: the network without export, on the CPU."""

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.runtimes.base import Deployment, FloatArray, Numerics, SessionInfo


class TorchRuntime:
    """Runs an `nn.Module` in float32 in inference mode. Artefact: the module, or a model file (.safetensors).

    int8 networks are only simulated in float, which is slower than float32, so int8 is not among its numerics.
    """

    name = "torch"
    distribution = "torch"
    library = "torch"
    suffix = ".safetensors"
    companions: tuple[str, ...] = ()
    numerics: tuple[Numerics, ...] = ("float32",)
    deployment = Deployment()

    def available(self) -> str | None:
        return None  # torch is a required dependency

    def write(self, network: GraphNetwork, path: Path) -> Path:
        from pocketcnn.graph.model_file import save
        from pocketcnn.graph.passes.fold import for_inference

        if network.numerics:
            raise PocketcnnError(
                "The torch runtime only simulates int8 in float. Run int8 networks on another runtime."
            )
        return save(path, GraphNetwork(for_inference(network.graph), network.info))

    def build(self, artefact: object, *, threads: int) -> "TorchSession":
        if isinstance(artefact, str | os.PathLike) and Path(artefact).suffix == self.suffix:
            from pocketcnn.graph.model_file import load

            return TorchSession(load(Path(artefact)), threads)
        if not isinstance(artefact, nn.Module):
            raise UsageError(
                f"The torch runtime takes a network (torch.nn.Module) or a model file (.safetensors), not {_called(artefact)}. "
                "For an .onnx file choose the runtime onnxruntime."
            )
        return TorchSession(artefact, threads)


class TorchSession:
    """A copy of the module in eval mode on the CPU; later changes to the module do not reach it."""

    def __init__(self, module: nn.Module, threads: int) -> None:
        self.input_shape = (None, *module.graph.input_shape) if isinstance(module, GraphNetwork) else None
        self.info = SessionInfo("torch", torch.__version__, threads)
        self._module: nn.Module | None = copy.deepcopy(module).to("cpu", torch.float32).eval()

    def run(self, batch: FloatArray) -> FloatArray:
        if self._module is None:
            raise PocketcnnError("This session is closed. Build another.")
        with self.active(), torch.inference_mode():
            # torch warns about read-only arrays
            images = torch.from_numpy(batch if batch.flags.writeable else batch.copy())
            try:
                output = self._module(images)
            except (RuntimeError, ValueError) as error:
                raise PocketcnnError(
                    f"The network cannot run on a batch of shape {batch.shape}: {str(error).splitlines()[0]}"
                ) from error
        if not isinstance(output, torch.Tensor):
            raise PocketcnnError(f"The network returns a {type(output).__name__}; it must return one tensor of logits.")
        scores: FloatArray = output.numpy()
        return scores

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Set torch's process-wide thread count, and restore it afterwards."""
        before = torch.get_num_threads()
        if before == self.info.threads:
            yield
            return
        torch.set_num_threads(self.info.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def close(self) -> None:
        self._module = None


def _called(artefact: object) -> str:
    return os.fspath(artefact) if isinstance(artefact, str | os.PathLike) else f"a {type(artefact).__name__}"
