"""Ways to damage a file: bytes, the values of a JSON document, the fields of a protobuf message, the pages of a database."""

import contextlib
import copy
import json
from random import Random
from typing import Any

import onnx

SIGNS = list(b'0123456789[]{}",:-.eE\\u')
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 64, 2**31, 2**63, -(2**40), 10**25, 0.5, -0.5, 1e-30, 1e300, "", "conv", "relu", "input",
    "x.weight", "../x", "\ud800", "é", [], {}, [0], [[]], [2**31, 2**31], [1, 1, 1, 1, 1, 1, 1, 1, 1], {"a": 1},
)  # fmt: skip
"""Values that stand where others are expected."""


def of_bytes(content: bytes, random: Random, first: int = 0) -> bytes:
    """A few bytes changed, removed or repeated; places before `first` are as likely as all places behind it."""
    found = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not found:
            break
        place = random.randrange(min(first, len(found)) if first and random.random() < 0.5 else len(found))
        kind = random.random()
        if kind < 0.7:
            found[place] = random.choice(
                [random.randrange(256), random.choice(SIGNS), found[place] ^ (1 << random.randrange(8))]
            )
        elif kind < 0.8:
            del found[place : place + random.choice((1, 8, 1000))]
        elif kind < 0.9:
            found[place:place] = found[place : place + random.choice((1, 8, 1000))]
        else:
            del found[place:]
    return bytes(found)


def of_document(document: Any, random: Random) -> Any:
    """One or two values of a JSON document replaced: by an odd one, by what stands at another place, or by nothing."""
    for _ in range(random.choice((1, 1, 2))):
        places = _places(document)
        document = _changed(document, random.choice(places), _replacement(document, places, random))
    return document


def of_text(text: str, random: Random) -> str:
    """The text of a settings file with lines removed, repeated or swapped, or with bytes changed."""
    if random.random() < 0.5:
        return of_bytes(text.encode(), random).decode("utf-8", "replace")
    lines = text.splitlines()
    place = random.randrange(len(lines))
    name, equals, value = lines[place].partition("=")
    if equals and random.random() < 0.7:
        odd = random.choice(
            (*ODD, "9" * 5000, "inf", "nan", "[" * 3000, '"' + value.strip() + '"', "-" + value.strip())
        )
        lines[place] = f"{name}= {odd if isinstance(odd, str) else json.dumps(odd)}"
    else:
        lines.insert(random.randrange(len(lines)), lines.pop(place) if random.random() < 0.5 else lines[place])
    return "\n".join(lines)


def of_onnx(content: bytes, random: Random) -> bytes:
    """An ONNX model with one or two of its fields changed: names, types, sizes, attributes, the order of nodes."""
    model = onnx.load_from_string(content)
    for _ in range(random.choice((1, 1, 2))):
        with contextlib.suppress(ValueError):  # protobuf has no such value for the field
            _change_message(random.choice(_messages(model)), random)
    return bytes(model.SerializeToString())


def _messages(message: Any) -> list[Any]:
    """The message and all inside it; initializers weigh as little as one each."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            inner = value if _repeated(field) else [value]
            found += [deeper for each in inner for deeper in _messages(each)]
    return found


def _repeated(field: Any) -> bool:
    return bool(getattr(field, "is_repeated", False))


def _change_message(message: Any, random: Random) -> None:
    """Change one field of a message, if it has one of a type that can be changed."""
    fields = message.ListFields()
    if not fields:
        return
    field, value = random.choice(fields)
    if _repeated(field):
        if not len(value):
            return
        place = random.randrange(len(value))
        if field.message_type is not None or random.random() < 0.3:
            if random.random() < 0.5:
                del value[place]
            else:
                value.extend([copy.deepcopy(value[place])])
        else:
            value[place] = _odd_of(value[place], random)
    elif field.message_type is None:
        setattr(message, field.name, _odd_of(value, random))
    else:
        message.ClearField(field.name)


def _odd_of(value: Any, random: Random) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((0, 1, 2, 3, 5, 7, 10, 16, 127, 1000, 2**31 - 1, value + 1, max(0, value - 1)))
    if isinstance(value, float):
        return random.choice((0.0, -1.0, 1e30, float("nan"), float("inf"), value * 2))
    if isinstance(value, bytes):
        return of_bytes(value, random) if value else b"x"
    return random.choice(("", "x", "input", "Conv", "Relu", "../x", "é" * 50, value + value))


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in _places(child, (*path, key)))]


def _changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    value = copy.copy(value)
    value[path[0]] = _changed(value[path[0]], path[1:], to)
    return value


def _replacement(document: Any, places: list[tuple[Any, ...]], random: Random) -> Any:
    if random.random() < 0.7:
        return copy.deepcopy(random.choice(ODD))
    for key in random.choice(places):
        document = document[key]
    return document
