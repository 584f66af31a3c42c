"""Merges consecutive equal blocks into one, and blocks into one box each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pocketcnn.report.diagram import labels as words
from pocketcnn.report.diagram.boxes import Box, cost_line
from pocketcnn.report.diagram.units import Block

LONGEST = 44
"""Largest number of characters of the line that lists the contents of a block."""


@dataclass(frozen=True)
class Unit:
    """A block of a drawing, which represents `count` consecutive equal blocks; `label` names them."""

    boxes: tuple[Box, ...]
    label: str
    count: int = 1


def collapsed(blocks: Sequence[Block]) -> list[Unit]:
    """The blocks without those that repeat the one before; their readers then read the one that is drawn."""
    place = {  # counted from the end, where different blocks are similar
        box.name: (number, index - len(block.boxes))
        for number, block in enumerate(blocks)
        for index, box in enumerate(block.boxes)
    }
    forms = [_form(number, block.boxes, place) for number, block in enumerate(blocks)]
    runs: list[list[int]] = []
    for number in range(len(blocks)):
        if runs and forms[number] is not None and forms[number] == forms[number - 1]:
            runs[-1].append(number)
        else:
            runs.append([number])
    drawn = {
        box.name: blocks[run[0]].boxes[index].name
        for run in runs
        for number in run
        for index, box in enumerate(blocks[number].boxes)
    }
    return [_unit([blocks[number] for number in run], drawn) for run in runs]


def _form(number: int, block: Sequence[Box], place: Mapping[str, tuple[int, int]]) -> object:
    """The key for comparing blocks: boxes and their inputs relative to the block. None for blocks that never repeat."""
    if any(box.kind == "end" for box in block):
        return None
    return tuple(
        (box.lines, box.kind, box.shape, tuple((number - place[name][0], place[name][1]) for name in box.inputs))
        for box in block
    )


def _unit(run: Sequence[Block], drawn: Mapping[str, str]) -> Unit:
    boxes = [replace(box, inputs=tuple(dict.fromkeys(drawn[name] for name in box.inputs))) for box in run[0].boxes]
    label = run[0].path if len(run) == 1 else f"{run[0].path} … {run[-1].path.rpartition('.')[2]}"
    return Unit(tuple(boxes), label, len(run))


def as_boxes(blocks: Sequence[Block]) -> list[Block]:
    """Each block as one box with its operations, its input and output shapes, and its cost."""
    name_of = {box.name: block.boxes[0].name for block in blocks for box in block.boxes}
    shape_of = {box.name: box.shape for block in blocks for box in block.boxes}
    return [Block(block.path, (_one_box(block, name_of, shape_of),)) for block in blocks]


def _one_box(whole: Block, name_of: Mapping[str, str], shape_of: Mapping[str, tuple[int, ...]]) -> Box:
    block = whole.boxes
    if len(block) == 1:
        box = block[0]
        return replace(box, inputs=tuple(dict.fromkeys(name_of[name] for name in box.inputs)))
    inner = {box.name for box in block}
    sources = [name for box in block for name in box.inputs if name not in inner]
    madds, share = sum(box.madds for box in block), sum(box.share for box in block)
    last = block[-1]
    shapes = f"{' and '.join(dict.fromkeys(words.size(shape_of[name]) for name in sources))} → {words.size(last.shape)}"
    heaviest = max(block, key=lambda box: box.madds)
    return Box(
        name=block[0].name,
        inputs=tuple(dict.fromkeys(name_of[name] for name in sources)),
        path=whole.path,
        own=False,
        kind=heaviest.kind if madds else last.kind,
        lines=(_contents(block), shapes, cost_line(madds, share)),
        tooltip=whole.path,
        shape=last.shape,
        madds=madds,
        share=share,
    )


def _contents(block: Sequence[Box]) -> str:
    """``conv 1×1, depthwise 3×3, conv 1×1, add``; if that is too long, counts by frequency: ``10 × conv 1×1, …``."""
    heads = [box.lines[0].partition(" · ")[0] for box in block if box.kind != "other"] or [block[0].lines[0]]
    text = ", ".join(heads)
    if len(text) <= LONGEST:
        return text
    counts = [f"{count} {words.TIMES} {head}" if count > 1 else head for head, count in Counter(heads).most_common()]
    kept = counts
    while len(text := ", ".join(kept)) > LONGEST and len(counts) > 1:
        counts.pop()
        kept = [*counts, "…"]
    return text
