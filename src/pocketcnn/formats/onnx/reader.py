"""Import of ONNX files as a `Graph`: float32, or int8 in QDQ form, from this library and other exporters."""

from pathlib import Path

import onnx
import onnx.inliner

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.formats.onnx.reader_rules import RULES
from pocketcnn.formats.onnx.translation import Reader
from pocketcnn.formats.onnx.translation import ReadError as ReadError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.limits import check_limits
from pocketcnn.graph.ops import GraphError
from pocketcnn.graph.stored_tensors import check_finite


def read_onnx(path: str | Path) -> Graph:
    """Read the network in an ONNX file; a file in QDQ form gives a quantized graph.

    The first axis of the input is the batch and becomes free. Batch normalization in the file is kept, so that the network
    can be trained further. An ONNX file has no input contract: pass it to `pocketcnn.save`.

    Raises:
        UsageError: the file does not exist.
        ReadError: it is not an ONNX file, has several inputs or outputs, has weights that are not finite, asks for more memory
            than `graph.limits` allows, or has an operator that is not supported; the message names the operator or tensor.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    try:
        model = onnx.load(file)
        return graph_of(model)
    except (ReadError, GraphError) as error:
        raise ReadError(f"Cannot read {file}: {error}") from error
    except PocketcnnError:
        raise
    except Exception as error:  # protobuf and onnx raise many types for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReadError(f"Cannot read {file}: it is not a valid ONNX file ({reason}).") from error


def graph_of(model: onnx.ModelProto) -> Graph:
    """The network in an ONNX model.

    Raises:
        ReadError, GraphError: see `read_onnx`.
    """
    if not model.graph.node:
        raise ReadError("it has no operators; it is empty or not an ONNX file.")
    graph = Reader(onnx.inliner.inline_local_functions(model), RULES).graph()
    check_finite(graph)
    check_limits(graph)
    return graph
