"""Construction of an ncnn network."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count

from pocketcnn.formats.ncnn.layer import Blob, Layer, Params

MAX_NAME = 200
"""Largest length of a name in characters; ncnn reads 255."""


class NcnnBuilder:
    """Collects layers; values (ncnn's blobs) are identified by name."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []
        self._used_names: set[str] = set()

    def layer(
        self,
        type: str,
        name: str,
        inputs: Sequence[str],
        params: Params | None = None,
        weights: Sequence[Blob] = (),
        outputs: int = 1,
    ) -> tuple[str, ...]:
        """Add a layer with a unique name derived from `name`, and return the names of its output blobs."""
        name = self._fresh(name)
        blobs = (name,) if outputs == 1 else tuple(self._fresh(f"{name}_{index}") for index in range(outputs))
        self._layers.append(Layer(type, name, tuple(inputs), blobs, params or {}, tuple(weights)))
        return blobs

    def finished(self, output: str, name: str) -> list[Layer]:
        """The layers on which `output` depends, with that blob renamed to `name`."""
        layers = _alive(self._layers, output)
        reads = Counter(chain.from_iterable(layer.inputs for layer in layers))
        if reads[output] or not layers[-1].inputs:  # also read by other layers, or the network's input
            layers = [*layers, Layer("Split", self._fresh(name), (output,), (name,))]
        else:
            layers = [_renamed(layer, output, name) for layer in layers]
        return list(_with_splits(layers))

    def _fresh(self, hint: str) -> str:
        hint = re.sub(r"[\s,=]+", "_", hint)[:MAX_NAME]
        name = next(name for name in chain([hint], (f"{hint}_{n}" for n in count(1))) if name not in self._used_names)
        self._used_names.add(name)
        return name


def _alive(layers: Sequence[Layer], output: str) -> list[Layer]:
    needed, live = {output}, []
    for layer in reversed(layers):
        if layer.type == "Input" or needed & set(layer.outputs):
            needed |= set(layer.inputs)
            live.append(layer)
    return live[::-1]


def _renamed(layer: Layer, old: str, new: str) -> Layer:
    return replace(layer, outputs=tuple(new if name == old else name for name in layer.outputs))


def _with_splits(layers: Sequence[Layer]) -> Iterator[Layer]:
    """In ncnn a blob has one reader: for several readers a Split layer makes copies."""
    reads = Counter(chain.from_iterable(layer.inputs for layer in layers))
    copies: dict[str, Iterator[str]] = {}
    for layer in layers:
        yield replace(layer, inputs=tuple(next(copies[name]) if name in copies else name for name in layer.inputs))
        for name in layer.outputs:
            if reads[name] > 1:
                copy_names = tuple(f"{name}_splitncnn_{index}" for index in range(reads[name]))
                copies[name] = iter(copy_names)
                yield Layer("Split", f"splitncnn_{name}", (name,), copy_names)
