"""Renders a layout as SVG text: without style sheet or script, readable on white and black backgrounds."""

from collections.abc import Mapping, Sequence
from html import escape

from pocketcnn.report.diagram import labels as words
from pocketcnn.report.diagram.boxes import Box
from pocketcnn.report.diagram.layout import Layout, Point, Rectangle, Route
from pocketcnn.report.diagram.repeats import Unit

FONT = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
SIZE, LINE, PADDING = 11.0, 15.0, 10.0
TITLE_SIZE, MARGIN = 15.0, 16.0
BAR = 3.0
"""Height of the bar that shows the share of multiply-adds."""

INK, GREY, EDGE, FRAME = "#16202c", "#6f7c8c", "#7d8998", "#8f9baa"
"""Colours of text in boxes, and of text and lines outside them, which are visible on white and black."""

COLOURS: Mapping[str, tuple[str, str]] = {  # kind -> (fill, border)
    "convolution": ("#cfe1fb", "#3f76c4"),
    "depthwise": ("#c9eee9", "#1f8f83"),
    "linear": ("#dcd5fa", "#6a55c9"),
    "pooling": ("#fce5c0", "#c98512"),
    "arithmetic": ("#d3efd2", "#3d9341"),
    "movement": ("#f6d3e6", "#bb4a86"),
    "other": ("#e6e9ee", "#7d8998"),
    "end": ("#f7f8fa", "#7d8998"),
}
NAMES = {
    "convolution": "convolution",
    "depthwise": "depthwise",
    "linear": "linear",
    "pooling": "pooling",
    "arithmetic": "arithmetic",
    "movement": "movement of data",
    "other": "other",
}

_WIDE, _NARROW = frozenset(f"mwMW%@→…{words.TIMES}"), frozenset("iljtfrI.,:;'|()[] \u00a0·-/")


def text_width(text: str, size: float = SIZE, bold: bool = False) -> float:
    """An upper bound of the width of `text` in all fonts of `FONT` and in DejaVu Sans, the widest one."""
    letters = sum(0.98 if c in _WIDE else 0.42 if c in _NARROW else 0.7 if c.isupper() else 0.64 for c in text)
    return size * letters * (1.1 if bold else 1.0)


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of the text of a box."""
    widths = [text_width(line, bold=index == 0 and box.kind != "end") for index, line in enumerate(box.lines)]
    height = LINE * len(box.lines) + PADDING
    return round(max(widths) + 2 * PADDING, 1), height


def label_size(unit: Unit) -> tuple[float, float]:
    """Width and height of the label beside a block."""
    return text_width(unit.label), LINE if unit.count == 1 else 2 * LINE + 4


def render(
    layout: Layout,
    boxes: Mapping[str, Box],
    units: Sequence[Unit],
    labelled: Sequence[int],
    title: str,
    subtitle: str,
) -> str:
    """The drawing as the text of an SVG file."""
    kinds = list(dict.fromkeys(box.kind for box in boxes.values() if box.kind != "end"))
    legend = [kind for kind in NAMES if kind in kinds]
    head = MARGIN + (TITLE_SIZE + 8 if title else 0) + (LINE + 6 if subtitle else 0)
    heads = max(text_width(title, TITLE_SIZE, bold=True), text_width(subtitle), 0.0)
    width = max(layout.width, heads, *(row[-1][1] for row in _legend_rows(legend, layout.width))) + 2 * MARGIN
    foot = LINE * (1 + len(_legend_rows(legend, layout.width)))
    height = head + layout.height + foot + MARGIN
    left = (width - layout.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" font-family="{FONT}" font-size="{SIZE:g}">',
        f"<title>{_safe(title or 'network')}</title>",
        *_heading(title, subtitle),
        f'<g transform="translate({left:.1f} {head:.1f})">',
        *(_frame(layout.frames[number]) for number in sorted(layout.frames)),
        f'<g fill="none" stroke="{EDGE}" stroke-width="1.4">',
        *dict.fromkeys(_path(route) for route in layout.routes),
        "</g>",
        *(_arrow(route) for route in layout.routes if route.source != route.target),
        *(_box(box, layout.boxes[name]) for name, box in boxes.items()),
        *(_label(units[number], layout.labels[number]) for number in labelled),
        "</g>",
        *_legend(legend, layout.width, head + layout.height + LINE),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _safe(text: str) -> str:
    """`text` escaped for XML, without control characters."""
    return escape("".join(c if c.isprintable() or c in "\n\u00a0" else "\ufffd" for c in text))


def _heading(title: str, subtitle: str) -> list[str]:
    lines, y = [], MARGIN
    if title:
        y += TITLE_SIZE
        lines.append(_text(MARGIN, y, title, fill=GREY, size=TITLE_SIZE, bold=True))
    if subtitle:
        lines.append(_text(MARGIN, y + (LINE + 4 if title else SIZE), subtitle, fill=GREY))
    return lines


def _text(
    x: float, y: float, text: str, *, fill: str = INK, size: float = SIZE, bold: bool = False, anchor: str = "start"
) -> str:
    look = f' font-size="{size:g}"' * (size != SIZE) + ' font-weight="600"' * bold
    look += f' text-anchor="{anchor}"' * (anchor != "start")
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{look}>{_safe(text)}</text>'


def _frame(at: Rectangle) -> str:
    return (
        f'<rect x="{at.left:.1f}" y="{at.top:.1f}" width="{at.right - at.left:.1f}" height="{at.bottom - at.top:.1f}" '
        f'rx="9" fill="{FRAME}" fill-opacity="0.1" stroke="{FRAME}" stroke-dasharray="4 3"/>'
    )


def _path(route: Route) -> str:
    (x, y), *rest = route.points
    steps = [f"M{x:g} {y:g}"]
    for next_x, next_y in rest:
        if route.square or next_x == x:
            steps.append(f"L{next_x:g} {next_y:g}")
        else:
            middle = (y + next_y) / 2
            steps.append(f"C{x:g} {middle:g} {next_x:g} {middle:g} {next_x:g} {next_y:g}")
        x, y = next_x, next_y
    return f'<path d="{"".join(steps)}"/>'


def _arrow(route: Route) -> str:
    x, y = route.points[-1]
    return f'<path d="M{x:g} {y:g}l-3.5 -7h7z" fill="{EDGE}"/>'


def _box(box: Box, at: Rectangle) -> str:
    fill, border = COLOURS[box.kind]
    width, height = at.right - at.left, at.bottom - at.top
    radius = 13.0 if box.kind in ("end", "arithmetic") else 5.0
    place = f'x="{at.left:.1f}" y="{at.top:.1f}"'
    parts = [
        "<g>",
        f"<title>{_safe(box.tooltip)}</title>",
        f'<rect {place} width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" fill="{fill}" stroke="{border}"/>',
    ]
    if box.share >= 0.001:
        long = max(1.0, box.share * (width - 2 * radius))
        bar = f'x="{at.left + radius:.1f}" y="{at.bottom - BAR:.1f}" width="{long:.1f}" height="{BAR:g}"'
        parts.append(f'<rect {bar} fill="{border}"/>')
    first = at.top + (height - LINE * len(box.lines)) / 2 + SIZE
    parts += [
        _text((at.left + at.right) / 2, first + LINE * i, line, bold=i == 0 and box.kind != "end", anchor="middle")
        for i, line in enumerate(box.lines)
    ]
    return "\n".join([*parts, "</g>"])


def _label(unit: Unit, at: Point) -> str:
    x, y = at[0], at[1] + SIZE + 2
    if unit.count == 1:
        return _text(x, y, unit.label, fill=GREY)
    count = _text(x, y + 2, f"{words.TIMES} {unit.count}", fill=GREY, size=TITLE_SIZE, bold=True)
    return f"{count}\n{_text(x, y + 2 + LINE, unit.label, fill=GREY)}"


def _legend_rows(kinds: Sequence[str], width: float) -> list[list[tuple[str, float]]]:
    """The kinds of the legend with the end of each entry, in lines no wider than the drawing if possible."""
    rows: list[list[tuple[str, float]]] = [[]]
    end = 0.0
    for kind in kinds:
        own = text_width(NAMES[kind]) + 30
        if rows[-1] and end + own > width:
            rows.append([])
            end = 0.0
        end += own
        rows[-1].append((kind, end))
    return [row or [("", 0.0)] for row in rows]


def _legend(kinds: Sequence[str], width: float, y: float) -> list[str]:
    parts = []
    for number, row in enumerate(_legend_rows(kinds, width)):
        for kind, end in row:
            if not kind:
                continue
            x, line = MARGIN + end - text_width(NAMES[kind]) - 30, y + LINE * number
            fill, border = COLOURS[kind]
            parts.append(
                f'<rect x="{x:.1f}" y="{line:.1f}" width="11" height="11" rx="2.5" fill="{fill}" stroke="{border}"/>'
            )
            parts.append(_text(x + 16, line + 9.5, NAMES[kind], fill=GREY))
    return parts
