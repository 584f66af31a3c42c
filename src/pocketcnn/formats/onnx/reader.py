"""ONNX -> `Graph`: float32 files, and int8 files in the QDQ convention, as this library and others write them."""

from pathlib import Path

import onnx
import onnx.inliner

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.formats.onnx.reader_rules import RULES
from pocketcnn.formats.onnx.translation import Reader
from pocketcnn.formats.onnx.translation import ReadError as ReadError
from pocketcnn.graph.graph import Graph


def read_onnx(path: str | Path) -> Graph:
    """The network in an ONNX file, with numerics where the file is quantized in the QDQ convention.

    The first axis of the input is the batch and becomes free. Batch normalization that the file still has stays, so that
    the network can be trained on. The input contract is not in an ONNX file: pass it to `pocketcnn.save`.

    Raises:
        UsageError: there is no such file.
        ReadError: it is no ONNX file, has several inputs or outputs, or an operator that the graph does not have; the
            operator is named.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    try:
        model = onnx.load(file)
        return graph_of(model)
    except ReadError as error:
        raise ReadError(f"Cannot read {file}: {error}") from error
    except PocketcnnError:
        raise
    except Exception as error:  # the parsers of protobuf and of onnx raise whatever they meet in a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReadError(f"Cannot read {file}: it is no sound ONNX file ({reason}).") from error


def graph_of(model: onnx.ModelProto) -> Graph:
    """The network in an ONNX model.

    Raises:
        ReadError: see `read_onnx`.
    """
    if not model.graph.node:
        raise ReadError("it holds no operators, so it is no ONNX file, or an empty one.")
    return Reader(onnx.inliner.inline_local_functions(model), RULES).graph()
