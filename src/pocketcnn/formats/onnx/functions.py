"""Compression of an ONNX model by model-local functions: repeated groups of operators are written once.

In QDQ form a quantized convolution is four operators, about 150 bytes that differ only in names from layer to
layer. The method is grammar compression by recursive pairing (Larsson and Moffat, "Offline
Dictionary-Based Compression", DCC 1999): the pair of connected operators whose replacement saves the most bytes becomes a
function, repeatedly, so that nested functions cover whole layers and blocks. ONNX has functions since IR version 8;
runtimes inline them when the model is loaded.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import onnx
from onnx import AttributeProto, FunctionProto, NodeProto, helper

from pocketcnn.formats.onnx.builder import OPSET
from pocketcnn.formats.onnx.names import short_names

DOMAIN = "f"

_WORTHWHILE = 8
"""Minimum saving of a function in bytes: the first one also adds an opset import."""

_VARYING = "group"
"""Attribute that functions take as an argument, because it differs between depthwise convolutions."""


@dataclass(frozen=True)
class _Pair:
    """Two operators, the second the only reader of the first, and the function that can replace them."""

    first: Any
    second: Any
    function: Any
    """The function that is equivalent to both, without a name."""
    saved: int
    """Saving in bytes, without the size of the function itself."""


def with_functions(model: onnx.ModelProto) -> None:
    """Replace repeated groups of operators of `model` by functions, in place, as long as that saves bytes."""
    plain, before = model.SerializeToString(), model.ByteSize()
    _write_functions(model)
    if model.ByteSize() > before:  # estimates ignore the length fields of enclosing messages, 1 or 2 bytes each
        model.ParseFromString(plain)


def _write_functions(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    outputs = [value.name for value in model.graph.output]
    functions: list[Any] = []
    names = short_names()
    known: dict[tuple[int, int], _Pair] = {}
    while pairs := _best_group(_pairs(nodes, outputs, known)):
        function = pairs[0].function
        function.name = next(names)
        functions.append(function)
        nodes = _replaced(nodes, pairs, function)
    functions = _inline_single_uses(nodes, functions)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.functions.extend(functions)
    if functions:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def _pairs(nodes: Sequence[Any], outputs: Sequence[str], known: dict[tuple[int, int], _Pair]) -> Iterator[_Pair]:
    """All pairs in the graph; `known` caches those of earlier calls by the ids of their nodes, which must stay alive."""
    makers = {node.output[0]: node for node in nodes}
    uses = Counter(chain(outputs, *(node.input for node in nodes)))
    for second in nodes:
        for value in second.input:
            if uses[value] == 1 and value in makers:
                first = makers[value]
                key = (id(first), id(second))
                if key not in known:
                    function = _function(first, second)
                    saved = _bytes(first) + _bytes(second) - _bytes(_call(first, second, "a"))
                    known[key] = _Pair(first, second, function, saved)
                yield known[key]


def _best_group(pairs: Iterable[_Pair]) -> list[_Pair]:
    """The set of equal, disjoint pairs whose replacement saves the most bytes; empty if none saves enough."""
    groups: defaultdict[bytes, list[_Pair]] = defaultdict(list)
    used: defaultdict[bytes, set[int]] = defaultdict(set)
    for pair in pairs:
        key = pair.function.SerializeToString(deterministic=True)
        operators = {id(pair.first), id(pair.second)}
        if not operators & used[key]:
            used[key] |= operators
            groups[key].append(pair)
    best = max(groups.values(), key=_saved, default=[])
    return best if _saved(best) >= _WORTHWHILE else []


def _saved(pairs: Sequence[_Pair]) -> int:
    return sum(pair.saved for pair in pairs) - _bytes(pairs[0].function) if pairs else 0


def _bytes(message: Any) -> int:
    """Size of a message as a repeated field: tag, length and content."""
    size: int = message.ByteSize()
    return size + 1 + max(1, -(-size.bit_length() // 7))


def _function(first: Any, second: Any) -> Any:
    """The function that is equivalent to two operators, with canonical names."""
    inputs = _inputs(first, second)
    scope = dict(zip([*inputs, first.output[0], second.output[0]], short_names(), strict=False))
    function = FunctionProto(domain=DOMAIN, input=[scope[name] for name in inputs], output=[scope[second.output[0]]])
    arguments = short_names()
    for node in (first, second):
        copy = NodeProto(op_type=node.op_type, domain=node.domain, output=[scope[node.output[0]]])
        copy.input.extend(scope[name] if name else "" for name in node.input)
        for attribute in node.attribute:
            if _is_argument(node, attribute):
                name = next(arguments)
                function.attribute.append(name)
                attribute = AttributeProto(name=attribute.name, type=attribute.type, ref_attr_name=name)
            copy.attribute.append(attribute)
        function.node.append(copy)
    function.opset_import.extend(_imports(function.node))
    return function


def _imports(nodes: Iterable[Any]) -> list[Any]:
    """The opset imports that `nodes` need."""
    own = [helper.make_opsetid(DOMAIN, 1)] if any(node.domain == DOMAIN for node in nodes) else []
    return [helper.make_opsetid("", OPSET), *own]


def _call(first: Any, second: Any, name: str) -> Any:
    """The call of function `name` that replaces two operators."""
    call = NodeProto(op_type=name, domain=DOMAIN, input=_inputs(first, second), output=second.output)
    arguments = short_names()
    for node in (first, second):
        for attribute in node.attribute:
            if _is_argument(node, attribute):
                call.attribute.add().CopyFrom(attribute)
                call.attribute[-1].name = next(arguments)
    return call


def _inputs(first: Any, second: Any) -> list[str]:
    """The external inputs of both operators, each once."""
    return list(dict.fromkeys(name for name in (*first.input, *second.input) if name and name != first.output[0]))


def _is_argument(node: Any, attribute: Any) -> bool:
    return bool(node.domain == DOMAIN or attribute.name == _VARYING)


def _replaced(nodes: Iterable[Any], pairs: Iterable[_Pair], function: Any) -> list[Any]:
    """The operators with each pair replaced by one call, at the position of its second operator."""
    calls = {id(pair.second): _call(pair.first, pair.second, function.name) for pair in pairs}
    gone = {id(pair.first) for pair in pairs}
    return [calls.get(id(node), node) for node in nodes if id(node) not in gone]


def _inline_single_uses(nodes: Iterable[Any], functions: Sequence[Any]) -> list[Any]:
    """The functions, with those that are called only once inlined into their caller."""
    in_functions = Counter(node.op_type for function in functions for node in function.node if node.domain == DOMAIN)
    in_graph = {node.op_type for node in nodes if node.domain == DOMAIN}
    single = {name for name, uses in in_functions.items() if uses == 1 and name not in in_graph}
    inlined: dict[str, Any] = {}
    for function in functions:  # each calls only earlier ones
        used = {name for node in function.node for name in (*node.input, *node.output)}
        body = [part for node in function.node for part in _expanded(node, inlined, single, used)]
        del function.node[:]
        function.node.extend(body)
        del function.opset_import[:]
        function.opset_import.extend(_imports(body))
        inlined[function.name] = function
    return [function for name, function in inlined.items() if name not in single]


def _expanded(call: Any, functions: dict[str, Any], single: set[str], used: set[str]) -> Iterator[Any]:
    """The operators of the called function in the scope of the caller, in which the names `used` exist."""
    if call.domain != DOMAIN or call.op_type not in single:
        yield call
        return
    function = functions[call.op_type]
    scope = {"": "", **dict(zip((*function.input, *function.output), (*call.input, *call.output), strict=True))}
    arguments = {attribute.name: attribute for attribute in call.attribute}
    for node in function.node:
        for name in node.output:
            if name not in scope:
                scope[name] = next(fresh for fresh in short_names() if fresh not in used)
                used.add(scope[name])
        copy = NodeProto(op_type=node.op_type, domain=node.domain)
        copy.input.extend(scope[name] for name in node.input)
        copy.output.extend(scope[name] for name in node.output)
        for attribute in node.attribute:
            copy.attribute.add().CopyFrom(arguments.get(attribute.ref_attr_name, attribute))
            copy.attribute[-1].name = attribute.name
        yield copy
