"""Spaces of networks that consist of a stem, a sequence of blocks, and a last convolution.

Each block has its own choices, and its layers are alike: the factorized hierarchical space of "MnasNet: Platform-Aware Neural
Architecture Search for Mobile" (Tan et al., 2019), section 4.1. The spaces of MobileNetV3 and ShuffleNet, and user-defined
ones, are other tables of the same kind.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from pathlib import Path
from types import MappingProxyType

from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.layers import ACTIVATIONS, ConvNormAct, batch_norm, fan_out_normal_weights, make_divisible
from pocketcnn.layers import activation as make_activation
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.nas.space import Choice, Decision, Point, Space, Task, check_decisions
from pocketcnn.nas.spaces.operations import OPERATIONS, SHUFFLES, SKIPS, Layer, layer

NORM = batch_norm(eps=1e-3, decay=0.99)


LARGEST_FILTERS, LARGEST_LAYERS, LARGEST_KERNEL, LARGEST_EXPANSION = 2**14, 256, 63, 64
"""Bounds of the numbers in a space: beyond them a network does not fit in the memory, or is a slip."""


@dataclass(frozen=True)
class Block:
    """A block with all choices made: `layers` equal layers, the first with `stride`; 0 layers leave the block out."""

    operation: str
    filters: int
    layers: int = 1
    kernel: int = 3
    expansion: float = 6
    squeeze_excite: bool = False
    activation: str = "relu"
    skip: str = "identity"
    stride: int = 1


@dataclass(frozen=True)
class BlockChoices:
    """The choices of one block, with the fields of `Block`; a field with one choice is not a decision."""

    operation: tuple[str, ...] = ("inverted",)
    filters: tuple[int, ...] = (16,)
    layers: tuple[int, ...] = (1,)
    kernel: tuple[int, ...] = (3,)
    expansion: tuple[float, ...] = (6,)
    squeeze_excite: tuple[bool, ...] = (False,)
    activation: tuple[str, ...] = ("relu",)
    skip: tuple[str, ...] = ("identity",)
    stride: int = 1

    def __post_init__(self) -> None:
        for rule, problem in self._rules():
            if not rule:
                raise UsageError(f"A block of a search space {problem}.")

    def _rules(self) -> Iterator[tuple[bool, str]]:
        known = [("operation", OPERATIONS), ("skip", SKIPS), ("activation", tuple(ACTIVATIONS))]
        for name, names in known:
            unknown = [each for each in getattr(self, name) if each not in names]
            yield not unknown, f"has the unknown {name} {', '.join(map(str, unknown))}; choose from {', '.join(names)}"
        yield (
            all(_is_count(number, LARGEST_KERNEL) and number % 2 for number in self.kernel),
            f"has a kernel that is not an odd number up to {LARGEST_KERNEL}",
        )
        yield (
            all(_is_count(number, LARGEST_FILTERS) for number in self.filters),
            f"has filters that are not a whole number above 0, at most {LARGEST_FILTERS:,}",
        )
        yield (
            all(number == 0 or _is_count(number, LARGEST_LAYERS) for number in self.layers),
            f"has layers that are not a whole number up to {LARGEST_LAYERS}",
        )
        yield (
            all(_is_number(number) and 0 < number <= LARGEST_EXPANSION for number in self.expansion),
            f"has an expansion that is not above 0 and at most {LARGEST_EXPANSION}",
        )
        yield (
            all(isinstance(each, bool) for each in self.squeeze_excite),
            "has a squeeze_excite that is not true or false",
        )
        yield self.stride in (1, 2), f"has a stride of {self.stride}; it must be 1 or 2"
        yield self.stride == 1 or 0 not in self.layers, "has stride 2 and may have 0 layers, which cannot be combined"
        odd = any(number % 2 for number in self.filters) and any(each in SHUFFLES for each in self.operation)
        yield not odd, "has an odd number of filters, which a shuffle unit cannot halve"

    def decisions(self, block: str) -> list[Decision]:
        """The decisions of this block; `block` is its name."""
        found: list[Decision] = []
        for name, matters in ORDER.items():
            choices: tuple[Choice, ...] = getattr(self, name)
            if len(choices) > 1:
                found.append(Decision(f"{block}.{name}", choices, self._needs(block, name, matters)))
        return found

    def _needs(self, block: str, name: str, matters: tuple[str, ...]) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        needs: list[tuple[str, tuple[Choice, ...]]] = []
        if name != "layers" and 0 in self.layers and len(self.layers) > 1:
            needs.append((f"{block}.layers", tuple(number for number in self.layers if number)))
        if name != "operation" and len(self.operation) > 1:
            of = tuple(operation for operation in self.operation if operation in matters)
            if len(of) < len(self.operation):
                needs.append((f"{block}.operation", of))
        return tuple(needs)

    def chosen(self, block: str, point: Point) -> Block:
        """The block at a point."""
        made = {}
        for field in fields(Block):
            choices = getattr(self, field.name)
            if field.name != "stride":
                made[field.name] = point[f"{block}.{field.name}"] if len(choices) > 1 else choices[0]
        return Block(**made, stride=self.stride)  # type: ignore[arg-type]


WITH_SKIP = tuple(name for name in OPERATIONS if name not in SHUFFLES)
ORDER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "layers": OPERATIONS,
        "operation": OPERATIONS,
        "filters": OPERATIONS,
        "kernel": tuple(name for name in OPERATIONS if name not in SHUFFLES),
        "expansion": ("inverted",),
        "squeeze_excite": WITH_SKIP,
        "activation": WITH_SKIP,
        "skip": WITH_SKIP,
    }
)
"""The decisions of a block in order, and the operations for which each has an effect."""


@dataclass(frozen=True)
class Frame:
    """The layers around the blocks.

    Attributes:
        stem: channels of the first 3 × 3 convolution, which has stride 2.
        last: channels of the last 1 × 1 convolution.
        head: width of a linear layer before the classifier; None for none.
        pool: whether max pooling with stride 2 follows the stem.
        width: the width multiplier by which the filters were scaled.
        activation: of stem, last convolution and head.
        dropout: before the classifier.
    """

    stem: int
    last: int
    head: int | None = None
    pool: bool = False
    width: float = 1.0
    activation: str = "relu"
    dropout: float = 0.0

    def fitted(self, task: Task) -> "Frame":
        """The frame for a task. For small images its widest layer, sized for 1000 classes, is scaled by `width`."""
        if not task.is_small:
            return self
        if self.head is None:
            return replace(self, last=make_divisible(self.last * self.width))
        return replace(self, head=make_divisible(self.head * self.width))


class StageNetwork(ImageClassifier):
    """Stem, blocks, last convolution, global average pooling, an optional linear layer, and the classifier."""

    def __init__(self, frame: Frame, blocks: Sequence[Block], task: Task) -> None:
        frame = frame.fitted(task)
        early = [2, 2] if frame.pool else [2]
        strides = at_most(task.total_stride, [*early, *(block.stride for block in blocks)])
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = ConvNormAct(
            task.channels, frame.stem, 3, stride=strides[0], activation=frame.activation, norm=NORM
        )
        if frame.pool and strides[1] == 2:
            layers["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = frame.stem
        for number, (block, stride) in enumerate(zip(blocks, strides[len(early) :], strict=True), 1):
            if block.layers:
                layers[f"block{number}"] = _layers(channels, replace(block, stride=stride))
                channels = block.filters
        layers["last"] = ConvNormAct(channels, frame.last, 1, activation=frame.activation, norm=NORM)
        super().__init__(nn.Sequential(layers), _classifier(frame, task.classes))
        fan_out_normal_weights(self)


def _layers(channels: int, block: Block) -> nn.Sequential:
    made = []
    for number in range(block.layers):
        kind = Layer(
            block.operation,
            channels if number == 0 else block.filters,
            block.filters,
            block.kernel,
            block.stride if number == 0 else 1,
            block.expansion,
            block.squeeze_excite,
            block.activation,
            block.skip,
        )
        made.append(layer(kind, NORM))
    return nn.Sequential(*made)


def _classifier(frame: Frame, classes: int) -> nn.Sequential:
    if frame.head is None:
        return nn.Sequential(nn.Dropout(frame.dropout), nn.Linear(frame.last, classes))
    hidden = [nn.Linear(frame.last, frame.head), make_activation(frame.activation)]
    return nn.Sequential(*hidden, nn.Dropout(frame.dropout), nn.Linear(frame.head, classes))


def at_most(total: int, strides: Sequence[int]) -> tuple[int, ...]:
    """`strides` with the earliest ones set to 1 until their product is at most `total`.

    >>> at_most(4, [2, 1, 2, 2])
    (1, 1, 2, 2)
    """
    found = list(strides)
    for index in range(len(found)):
        if prod(found) <= total:
            break
        found[index] = 1
    return tuple(found)


@dataclass(frozen=True)
class StageSpace(Space):
    """A space of stage networks, with the choices of each block."""

    name: str
    frame: Frame
    blocks: tuple[BlockChoices, ...]
    file: Path | None = None
    """The TOML file of a user-defined space."""

    @property
    def reference(self) -> Mapping[str, Choice]:
        if self.file is not None:
            return {"name": self.name, "file": str(self.file.absolute())}
        return {"name": self.name, "width": self.frame.width}

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found = [
            decision
            for number, choices in enumerate(self.blocks, 1)
            for decision in choices.decisions(f"block{number}")
        ]
        return check_decisions(found)

    def chosen(self, point: Point) -> tuple[Block, ...]:
        """The blocks of a point, including those left out."""
        return tuple(choices.chosen(f"block{number}", point) for number, choices in enumerate(self.blocks, 1))

    def representative(self, point: Point) -> Point:
        """An identity skip that no layer of its block can have is written as none."""
        found = dict(point)
        channels = self.frame.stem
        for number, block in enumerate(self.chosen(point), 1):
            name = f"block{number}.skip"
            first_adds = block.stride == 1 and channels == block.filters
            if name in found and block.skip == "identity" and block.layers == 1 and not first_adds:
                choices = self.blocks[number - 1].skip
                found[name] = "none" if "none" in choices else block.skip
            channels = block.filters if block.layers else channels
        return found

    def build(self, point: Point, task: Task) -> nn.Module:
        return StageNetwork(self.frame, self.chosen(point), task)

    def describe(self, point: Point) -> list[str]:
        return [f"block {number}: {_in_words(block)}" for number, block in enumerate(self.chosen(point), 1)]


def _in_words(block: Block) -> str:
    if not block.layers:
        return "left out"
    words = [f"{block.layers} times" if block.layers > 1 else "", block.operation]
    if block.operation not in SHUFFLES:
        words.append(f"{block.kernel}x{block.kernel}")
        words.append(f"expansion {block.expansion:g}," if block.operation == "inverted" else "")
    words.append(f"to {block.filters} channels")
    words.append("stride 2" if block.stride == 2 else "")
    words.append("squeeze-and-excite" if block.squeeze_excite else "")
    if block.operation not in SHUFFLES:
        words += [block.activation, "" if block.skip == "identity" else f"skip {block.skip}"]
    return " ".join(word for word in words if word)


def scaled(filters: int, width: float) -> int:
    """Channels at a width multiplier: multiples of 8, of 4 in narrow networks."""
    return make_divisible(filters * width, 8 if width >= 0.5 else 4)


def distinct(values: Sequence[int]) -> tuple[int, ...]:
    """Values without repetitions, in their order."""
    return tuple(dict.fromkeys(values))


def _is_count(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
