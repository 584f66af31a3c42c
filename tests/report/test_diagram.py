"""The drawings of networks: true to the graph, and legible: no text beyond its box, no edge across a box."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.report.diagram import draw
from pocketcnn.report.diagram.draw import block_paths
from pocketcnn.report.diagram.layout import Item, Layout, Rectangle, arrange
from pocketcnn.report.diagram.svg import text_width
from pocketcnn.vision import require_torchvision

SVG = "{http://www.w3.org/2000/svg}"
ZOO = ("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2", "squeezenet1_1", "resnet50")


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {name: pc.capture(pc.create(name), (1, 3, 64, 64)) for name in ZOO}


def texts(svg: str) -> list[str]:
    return [(element.text or "").replace("\u00a0", " ") for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_an_inverted_residual_is_drawn_as_in_its_paper(graphs: dict[str, Graph]) -> None:
    """MobileNetV2, table 1: 1x1 with ReLU6, 3x3 depthwise with ReLU6, linear 1x1, and the shortcut around them."""
    said = texts(draw(graphs["mobilenet_v2"], title="a block", block="features.block3"))
    heads = ["conv 1×1 · BN · ReLU6", "depthwise 3×3 · BN · ReLU6", "conv 1×1 · BN", "add"]  # noqa: RUF001
    assert [line for line in said if line in heads] == heads
    assert "24 → 144 channels, 16×16" in said  # noqa: RUF001
    madds = 24 * 144 * 16 * 16
    total = pc.count(graphs["mobilenet_v2"]).madds
    assert f"{madds / 1e3:.0f} k MAdds · {100 * madds / total:.1f} %" in said
    assert said[0] == "a block"


def test_split_concat_and_shuffle_of_a_shufflenet_unit_are_seen(graphs: dict[str, Graph]) -> None:
    said = texts(draw(graphs["shufflenet_v2"], block="features.stage2.1"))
    assert {"split 58 | 58", "concat", "channel shuffle g2", "depthwise 3×3 · BN"} <= set(said)  # noqa: RUF001
    assert said.count("input 116×8×8") == said.count("output 116×8×8") == 1  # noqa: RUF001


def test_a_gate_is_seen_to_multiply(graphs: dict[str, Graph]) -> None:
    said = texts(draw(graphs["mobilenet_v3_small"], block="features.block4"))
    assert {"global average pool", "conv 1×1 · h-sigmoid", "multiply"} <= set(said)  # noqa: RUF001


@pytest.mark.parametrize(
    ("name", "repeats"),
    [("mobilenet_v2", ["2", "3", "2", "2"]), ("resnet50", ["2", "3", "5", "2"]), ("shufflenet_v2", ["3", "7", "3"])],
)
def test_equal_blocks_are_drawn_once(name: str, repeats: list[str], graphs: dict[str, Graph]) -> None:
    """ResNet-50 has 3, 4, 6 and 3 blocks a stage, the first with a projection; of MobileNetV2 see table 2."""
    for detail in ("layers", "blocks"):
        said = texts(draw(graphs[name], detail=detail))
        assert [line.removeprefix("× ") for line in said if line.startswith("× ")] == repeats  # noqa: RUF001


@pytest.mark.parametrize("detail", ["layers", "blocks"])
def test_all_multiply_adds_are_in_the_boxes(detail: str, graphs: dict[str, Graph]) -> None:
    """SqueezeNet repeats no block, so its boxes show all its work; shares are rounded to a tenth of a percent."""
    said = texts(draw(graphs["squeezenet1_1"], detail=detail))
    shares = [float(found[1]) for line in said if (found := re.search(r"MAdds · ([\d.]+) %", line))]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))


def test_blocks_are_those_of_the_source() -> None:
    torchvision = require_torchvision("models")
    resnet = pc.capture(torchvision.resnet18(weights=None), (1, 3, 64, 64))
    assert block_paths(resnet) == [f"layer{stage}.{unit}" for stage in (1, 2, 3, 4) for unit in (0, 1)]
    mobilenet = pc.capture(torchvision.mobilenet_v3_small(weights=None), (1, 3, 64, 64))
    assert block_paths(mobilenet) == [f"features.{number}" for number in range(1, 12)]


def test_the_same_graph_gives_the_same_text(graphs: dict[str, Graph]) -> None:
    again = pc.capture(pc.create("squeezenet1_1"), (1, 3, 64, 64))
    assert draw(again, title="x") == draw(graphs["squeezenet1_1"], title="x")


def test_hostile_names_are_text() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module('<script>"&', nn.Conv2d(3, 4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return next(iter(self.children()))(x).flatten(1)

    svg = draw(pc.capture(Net(), (1, 3, 8, 8)), title="<b>\x00 & 'title'")
    ET.fromstring(svg)
    assert "<script" not in svg
    assert texts(svg)[0] == "<b>\ufffd & 'title'"


def test_constants_are_not_drawn() -> None:
    class Gain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.gain = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return (self.conv(x) * self.gain).flatten(1)

    said = texts(draw(pc.capture(Gain(), (1, 3, 8, 8))))
    assert "multiply · flatten" in said
    assert not any("constant" in line for line in said)


def test_mistakes_are_explained(graphs: dict[str, Graph]) -> None:
    with pytest.raises(UsageError, match=r"'features\.blok3'. Did you mean features\.block"):
        draw(graphs["mobilenet_v2"], block="features.blok3")
    with pytest.raises(UsageError, match=r"Its blocks are features\.fire"):
        draw(graphs["squeezenet1_1"], block="???")
    with pytest.raises(UsageError, match="no detail 'all'; choose one of layers, blocks"):
        draw(graphs["squeezenet1_1"], detail="all")


def test_no_text_is_wider_than_its_box(graphs: dict[str, Graph]) -> None:
    """Measured with DejaVu Sans, the widest common font, where it is installed; else the estimate stands for itself."""
    try:
        fonts = {False: ImageFont.truetype("DejaVuSans", 110), True: ImageFont.truetype("DejaVuSans-Bold", 110)}
    except OSError:
        pytest.skip("needs the font DejaVu Sans")
    for graph in graphs.values():
        for group in ET.fromstring(draw(graph)).iter(f"{SVG}g"):
            rectangle = group.find(f"{SVG}rect")
            if rectangle is None or group.find(f"{SVG}title") is None:
                continue
            for text in group.findall(f"{SVG}text"):
                bold = text.get("font-weight") == "600"
                width = fonts[bold].getlength(text.text or "") / 10
                assert width <= text_width(text.text or "", bold=bold)
                assert width + 8 <= float(rectangle.attrib["width"]), text.text


@st.composite
def random_drawing(draw: st.DrawFn) -> dict[str, Item]:
    """Up to 25 boxes of different sizes, each reading one to four earlier ones, in blocks of neighbours."""
    items: dict[str, Item] = {}
    unit = 0
    for index in range(draw(st.integers(1, 25))):
        near = list(items)[-6:]
        inputs = draw(st.lists(st.sampled_from(near), max_size=4, unique=True)) if near else []
        unit += draw(st.booleans())
        label = (40.0, 15.0) if unit % 2 else None
        size = draw(st.integers(30, 200)), draw(st.sampled_from([25, 40, 55]))
        items[f"b{index}"] = Item(*size, tuple(inputs), unit, label is not None, label)
    return items


@given(items=random_drawing(), columns=st.booleans())
@settings(max_examples=80, deadline=None)
def test_boxes_do_not_overlap_and_edges_do_not_cross_them(items: dict[str, Item], columns: bool) -> None:
    check_layout(items, arrange(items, columns=columns))


def test_a_long_drawing_is_set_in_columns() -> None:
    items = {f"b{i}": Item(150, 50, (f"b{i - 1}",) if i else (), i, False, None) for i in range(60)}
    long, broken = (arrange(items, columns=columns) for columns in (False, True))
    assert long.height > 20 * long.width
    assert 0.5 < broken.width / broken.height < 2
    check_layout(items, broken)


def check_layout(items: dict[str, Item], layout: Layout) -> None:
    page = Rectangle(-0.1, -0.1, layout.width + 0.1, layout.height + 0.1)
    assert set(layout.boxes) == set(items)
    for name, box in layout.boxes.items():
        assert box.right - box.left == pytest.approx(items[name].width, abs=0.2)
        assert page.left <= box.left
        assert page.top <= box.top
        assert box.right <= page.right
        assert box.bottom <= page.bottom
    for (first, a), (second, b) in combinations(layout.boxes.items(), 2):
        assert not a.meets(b), (first, second)
    read = {(source, name) for name, item in items.items() for source in item.inputs}
    drawn = {(route.source, route.target) for route in layout.routes if route.source != route.target}
    assert drawn == read
    for route in layout.routes:
        for (x, y), (next_x, next_y) in pairwise(route.points):
            swept = Rectangle(
                min(x, next_x), min(y, next_y), max(x, next_x), max(y, next_y)
            )  # a bend stays inside this
            for name, box in layout.boxes.items():
                inside = Rectangle(box.left + 0.3, box.top + 0.3, box.right - 0.3, box.bottom - 0.3)
                assert not (swept.left <= inside.right and inside.left <= swept.right) or not (
                    swept.top < inside.bottom and inside.top < swept.bottom
                ), (route.source, route.target, name)
    for unit, frame in layout.frames.items():
        outside = [box for name, box in layout.boxes.items() if items[name].unit != unit]
        assert not any(frame.meets(box) for box in outside)
