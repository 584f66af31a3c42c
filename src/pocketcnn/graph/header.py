"""The JSON header of a model file: graph and metadata, in a compact format that is validated when it is read.

A node is an array ``[name, op, inputs, attributes, tensors]``. Inputs are indices of earlier nodes. Attributes are in the
order of the operation's `Op.attrs`. Tensors are in the order of its roles: 1 for the tensor ``<node>.<role>``, 0 for none,
or a name.
Shapes are not stored: they are inferred when the file is read, which also validates it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError
from pydantic_core import PydanticSerializationError

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph.coded import Coding
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.info import ModelInfo
from pocketcnn.graph.node import Attr, Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics, WeightFormat
from pocketcnn.graph.ops import OPS

FORMAT_VERSION, CODED_VERSION = 1, 2
"""Format versions of an uncoded file, and of a coded one (see `graph.coded`)."""

CODINGS = get_args(Coding)
MAX_NODES = 20_000
MAX_NAME = 512
MAX_DEPTH = 32
"""Largest nesting depth of the JSON; the format itself needs 5, settings in the lineage a few more."""

MAX_NOTICE = 200
"""Largest length, in characters, of the notice that replaces the header in a coded file."""


class HeaderError(PocketcnnError):
    """A header that is not valid, or a network that cannot be described by a header."""


Name = Annotated[StrictStr, Field(min_length=1, max_length=MAX_NAME)]
NodeRow = tuple[
    Name,
    Name,
    tuple[StrictInt, ...],
    tuple[StrictBool | StrictInt | StrictFloat | tuple[StrictInt, ...], ...],
    tuple[StrictInt | Name, ...],
]
ActivationRow = tuple[StrictInt, float, StrictInt, StrictInt, StrictBool]
"""Index of the node, scale, zero point, bits, signed."""
WeightRow = tuple[Name, Name, StrictInt]
"""Name of the tensor, name of the tensor of its scales, bits."""


class _Json(BaseModel):
    """The schema of the JSON header."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: StrictInt
    shape: tuple[StrictInt, ...]
    output: StrictInt
    nodes: Annotated[tuple[NodeRow, ...], Field(min_length=1, max_length=MAX_NODES)]
    activations: tuple[ActivationRow, ...] = ()
    weights: tuple[WeightRow, ...] = ()
    buffers: tuple[Name, ...] = ()
    info: ModelInfo = Field(default_factory=ModelInfo)


@dataclass(frozen=True)
class Header:
    """A parsed header; the shapes of its nodes, except the input's, are not yet inferred."""

    nodes: tuple[Node, ...]
    output: str
    numerics: Numerics
    buffers: frozenset[str]
    info: ModelInfo


def encode(graph: Graph, info: ModelInfo) -> str:
    """The header of a network as JSON without whitespace.

    Raises:
        HeaderError: the lineage has a value that JSON cannot represent, such as NaN, or text that is not Unicode.
    """
    position = {node.name: index for index, node in enumerate(graph.nodes)}
    content: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "shape": graph.input_shape,
        "output": position[graph.output],
        "nodes": [_row(node, position) for node in graph.nodes],
        "activations": [
            (position[name], fmt.scale, fmt.zero_point, fmt.bits, fmt.signed)
            for name, fmt in graph.numerics.activations.items()
        ],
        "weights": [(name, fmt.scale, fmt.bits) for name, fmt in graph.numerics.weights.items()],
        "buffers": sorted(graph.buffers),
    }
    try:
        content["info"] = info.model_dump(mode="json", exclude_defaults=True)
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (ValueError, RecursionError, PydanticSerializationError) as error:
        raise HeaderError(
            f"the name, classes or lineage of the network cannot be written as JSON ({error}). "
            "Use plain text, finite numbers, lists and dictionaries there."
        ) from error
    return text


def _row(node: Node, position: Mapping[str, int]) -> list[Any]:
    op = OPS[node.op]
    tensors = [_tensor_entry(node, role) for role in (*op.tensors, *op.optional)]
    while tensors and tensors[-1] == 0:
        tensors.pop()
    return [
        node.name,
        node.op,
        [position[name] for name in node.inputs],
        [node.attrs[name] for name in op.attrs],
        tensors,
    ]


def _tensor_entry(node: Node, role: str) -> int | str:
    name = node.tensors.get(role)
    if name is None:
        return 0
    return 1 if name == f"{node.name}.{role}" else name


def decode(text: str) -> Header:
    """Parse and validate a header. No code is executed; what is not checked here is checked by shape inference.

    Raises:
        HeaderError: the text is not JSON of this format, has a newer version, refers to unknown names or operations, or
            exceeds a limit.
    """
    content = strict_json(text)
    _check_version(content.get("version"), FORMAT_VERSION)
    try:
        parsed = _Json.model_validate(content)
    except ValidationError as error:
        raise HeaderError(_first_problem(error)) from error
    nodes = _nodes(parsed)
    activations = {_at(nodes, row[0]).name: _activation(row) for row in parsed.activations}
    weights = {row[0]: _weight(row) for row in parsed.weights}
    if any(len({row[0] for row in rows}) != len(rows) for rows in (parsed.activations, parsed.weights)):
        raise HeaderError("a value or tensor has two quantization formats.")
    numerics = Numerics(activations=activations, weights=weights)
    return Header(nodes, _at(nodes, parsed.output).name, numerics, frozenset(parsed.buffers), parsed.info)


def _check_version(version: object, needed: int) -> None:
    if isinstance(version, int) and version > CODED_VERSION:
        raise HeaderError(_newer(f"format version {version}; this version reads up to {CODED_VERSION}"))
    if type(version) is not int or version != needed:
        raise HeaderError(f"its format version is {version!r}; it must be {needed}.")


def _newer(what: str) -> str:
    return f"it was written by a newer version of pocketcnn ({what}). Upgrade with: pip install --upgrade pocketcnn"


def coded_notice(coding: Coding) -> str:
    """The notice that replaces the header in a coded file."""
    return json.dumps({"version": CODED_VERSION, "coding": coding}, separators=(",", ":"))


def is_coded(text: str) -> bool:
    """Whether `text` is the notice of a coded file, with a coding that this version can decode.

    Raises:
        HeaderError: the file is coded, but with an unknown coding.
    """
    if len(text) > MAX_NOTICE:
        return False
    content = strict_json(text)
    if content.get("version") != CODED_VERSION:
        return False
    if content.keys() != {"version", "coding"} or content["coding"] not in CODINGS:
        known = ", ".join(map(repr, CODINGS))
        raise HeaderError(_newer(f"coding {content.get('coding')!r}; this version decodes {known}"))
    return True


def tensor_names(nodes: Iterable[Node], numerics: Numerics) -> list[str]:
    """Every tensor name once, in the order in which the nodes refer to them; the scales follow their weight."""
    names: dict[str, None] = {}
    for node in nodes:
        for role in (*OPS[node.op].tensors, *OPS[node.op].optional):
            if role in node.tensors:
                name = node.tensors[role]
                names[name] = None
                if name in numerics.weights:
                    names[numerics.weights[name].scale] = None
    return list(names)


def _nodes(parsed: _Json) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for name, op_name, inputs, attrs, tensors in parsed.nodes:
        op = OPS.get(op_name)
        if op is None:
            raise HeaderError(f"node {name!r} has the unknown operation {op_name!r}.")
        roles = (*op.tensors, *op.optional)
        if len(attrs) != len(op.attrs) or len(tensors) > len(roles):
            raise HeaderError(
                f"node {name!r} ({op_name}) has {len(attrs)} attributes and {len(tensors)} tensors; "
                f"it must have {len(op.attrs)} and at most {len(roles)}."
            )
        named: dict[str, Attr] = dict(zip(op.attrs, attrs, strict=True))
        shape = parsed.shape if not nodes else ()
        sources = tuple(_at(nodes, index).name for index in inputs)
        nodes.append(Node(name, op_name, sources, shape, named, _tensors(name, roles, tensors)))
    return tuple(nodes)


def _tensors(node: str, roles: Sequence[str], entries: Iterable[int | str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, entry in zip(roles, entries, strict=False):
        if isinstance(entry, str):
            found[role] = entry
        elif entry == 1:
            found[role] = f"{node}.{role}"
        elif entry != 0:
            raise HeaderError(f"node {node!r} has {entry} for its {role}; it must be 0, 1 or a name.")
    return found


def _at(nodes: Sequence[Node], index: int) -> Node:
    if not 0 <= index < len(nodes):
        raise HeaderError(f"it refers to node {index}, but only {len(nodes)} precede.")
    return nodes[index]


def _activation(row: ActivationRow) -> ActivationFormat:
    _, scale, zero_point, bits, signed = row
    if not is_valid_scale(scale, 1 << 8):
        raise HeaderError(f"a value has the scale {scale}; it must be a positive float32 number.")
    try:
        return ActivationFormat(scale=scale, zero_point=zero_point, bits=bits, signed=signed)
    except ValidationError as error:
        raise HeaderError(_first_problem(error)) from error


def _weight(row: WeightRow) -> WeightFormat:
    try:
        return WeightFormat(scale=row[1], bits=row[2])
    except ValidationError as error:
        raise HeaderError(_first_problem(error)) from error


def is_valid_scale(scale: float, largest: int) -> bool:
    """Whether `scale` and `scale` times `largest` are normal float32 numbers, so that no precision is lost."""
    return scale >= 2.0**-126 and scale * largest < 2.0**128


def strict_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object, refusing duplicate keys, NaN, unpaired surrogates and deep nesting.

    Raises:
        HeaderError: the text is anything else.
    """
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise HeaderError("its header is nested too deeply.") from error
    except ValueError as error:  # invalid JSON, numbers with thousands of digits, text that is not Unicode
        raise HeaderError(f"its header is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise HeaderError("its header is not a JSON object.")
    if _depth(content) > MAX_DEPTH:
        raise HeaderError("its header is nested too deeply.")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is out of range")
    return value


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level:
        depth += 1
        level = [child for item in level for child in _children(item)]
    return depth


def _children(item: Any) -> Iterable[Any]:
    children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return (child for child in children if isinstance(child, dict | list))


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("tuple["))
    return f"its header is invalid{f' at {place}' if place else ''}: {problem['msg']}."
