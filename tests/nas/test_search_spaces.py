"""Every search space: its points build networks, differ where their networks do, and can be written by hand."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.cost import count
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.models import create
from pocketcnn.models.nasnet_cells import NORMAL, REDUCTION, Block
from pocketcnn.models.small_images import options_for
from pocketcnn.nas.point_file import load_point, point_text, save_point
from pocketcnn.nas.space import Choice, Decision, Point, Space, Task, check_decisions
from pocketcnn.nas.spaces import SPACES, load_space
from pocketcnn.nas.spaces.nasnet import OPERATIONS, NasnetSpace
from pocketcnn.nas.spaces.stages import at_most
from pocketcnn.pipeline.candidates import CandidateNetwork

DIGITS = Task(classes=3, channels=1, height=8, width=8)
NAMES = (
    "mnasnet",
    "mnasnet_factorized",
    "mobilenet_v3",
    "mobilenet_v3_large",
    "shufflenet",
    "nasnet",
    "scaling:mobilenet_v2",
)
TOML = """
stem = 8
last = 32

[[block]]
operation = ["inverted", "separable", "factorized"]
kernel = [3, 5]
filters = 8
layers = [1, 2]

[[block]]
operation = ["shuffle3", "conv"]
squeeze_excite = [false, true]
filters = [12, 16]
stride = 2

[[block]]
filters = 16
layers = [0, 1]
expansion = [2, 3]
"""
PYTHON = """
from torch import nn

DECISIONS = {"channels": [4, 8], "kernel": [1, 3]}


def build(point, task):
    conv = nn.Conv2d(task.channels, point["channels"], point["kernel"], padding=point["kernel"] // 2)
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(point["channels"], task.classes))
"""


@cache
def space_named(name: str) -> Space:
    """A space by name; `toml` and `py` are those of a user's files."""
    if name not in ("toml", "py"):
        return load_space(name, 0.1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mine.{name}"
        path.write_text(TOML if name == "toml" else PYTHON)
        space = load_space(str(path))
        assert space.decisions  # the file is read now
        return space


def built(space: Space, point: Point) -> str:
    graph = capture(space.build(point, DIGITS).eval(), (1, 1, *space.input_size(point, DIGITS)))
    return "\n".join(f"{node.op} {node.shape} {node.attrs} {node.inputs}" for node in graph.nodes)


@pytest.mark.parametrize("name", [*NAMES, "toml", "py"])
def test_random_points_build_networks_for_small_images(name: str) -> None:
    space = space_named(name)
    for seed in range(2):
        point = space.random(np.random.default_rng(seed))
        assert space.check(point) == point
        assert space.at(space.indices(point)) == point
        assert space.describe(point)
        network = space.build(point, DIGITS).eval()
        images = torch.randn(2, 1, *space.input_size(point, DIGITS))
        graph = GraphNetwork(capture(network, (1, *images.shape[1:]))).eval()
        answers = network(images)
        assert answers.shape == (2, 3)
        torch.testing.assert_close(graph(images), answers, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*NAMES, "toml", "py"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_decisions_that_make_no_difference_are_no_difference_between_points(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = space_named(name)
    point = space.random(rng)
    noise = {decision.name: decision.choices[int(rng.integers(len(decision.choices)))] for decision in space.decisions}
    that_matter = {
        decision.name: point[decision.name]
        for decision, matters in zip(space.decisions, space.matters(point), strict=True)
        if matters
    }
    assert space.check({**noise, **that_matter}) == point
    assert space.check(that_matter) == point
    changed = space.mutated(point, rng)
    assert changed != point
    assert space.check(changed) == changed


@pytest.mark.parametrize("name", ["mnasnet", "mobilenet_v3", "shufflenet", "nasnet", "toml"])
def test_decisions_that_matter_change_the_network(name: str) -> None:
    space = space_named(name)
    rng = np.random.default_rng(4)
    point = space.random(rng)
    before = built(space, point)
    for _ in range(3):
        assert built(space, space.mutated(point, rng)) != before


def test_mnasnet_s_space_holds_mobilenet_v2() -> None:
    space = load_space("mnasnet")
    widths, layers = (16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1)
    point: dict[str, object] = {}
    for number, (filters, count_) in enumerate(zip(widths, layers, strict=True), 1):
        block = {"operation": "separable" if number == 1 else "inverted", "filters": filters, "layers": count_}
        block |= {"kernel": 3, "expansion": 6, "squeeze_excite": False, "skip": "identity"}
        point |= {f"block{number}.{name}": choice for name, choice in block.items()}
    ours = count(space.build(space.check(point), Task(1000, 3, 224, 224)), (1, 3, 224, 224))
    paper = count(create("mobilenet_v2"), (1, 3, 224, 224))
    assert (ours.params, ours.madds) == (paper.params, paper.madds)


def test_the_published_mnasnet_space_has_no_factorized_convolutions() -> None:
    """They are in a space of their own, whose blocks name them."""
    published, larger = load_space("mnasnet"), load_space("mnasnet_factorized")
    assert not any("factorized" in decision.choices for decision in published.decisions)
    operations = [decision.choices for decision in larger.decisions if decision.name.endswith(".operation")]
    assert operations == [("inverted", "separable", "conv", "factorized")] * 7


def test_a_factorized_block_has_no_expansion_to_decide() -> None:
    space = space_named("mnasnet_factorized")
    point = space.random(np.random.default_rng(0))
    point = space.check({**point, "block3.operation": "factorized", "block3.kernel": 7})
    by_name = dict(zip((decision.name for decision in space.decisions), space.matters(point), strict=True))
    assert not by_name["block3.expansion"]
    assert by_name["block3.kernel"]
    assert by_name["block3.skip"]
    layers = count(space.build(point, DIGITS), (1, 1, 8, 8)).layers
    assert any("block3" in each.name and "column" in each.name for each in layers)
    assert "factorized 7x7" in space.describe(point)[2]


def as_point(cell: str, blocks: tuple[Block, ...]) -> dict[str, object]:
    inputs = ("present", "before", "block1", "block2", "block3", "block4", "block5")
    point: dict[str, object] = {}
    for number, block in enumerate(blocks, 1):
        name = f"{cell}.block{number}"
        point |= {f"{name}.left": block.left, f"{name}.right": block.right, f"{name}.join": "add"}
        point |= {f"{name}.left_input": inputs[block.left_input], f"{name}.right_input": inputs[block.right_input]}
    return point


def sides(blocks: tuple[Block, ...]) -> list[set[tuple[str, int]]]:
    return [{(block.left, block.left_input), (block.right, block.right_input)} for block in blocks]


def test_nasnet_s_space_holds_nasnet_a() -> None:
    space = NasnetSpace()
    point = space.check({**as_point("normal", NORMAL.blocks), **as_point("reduction", REDUCTION.blocks)})
    normal, reduction = space.plan(point, "normal"), space.plan(point, "reduction")
    assert sides(normal.blocks) == sides(NORMAL.blocks)
    assert sides(reduction.blocks) == sides(REDUCTION.blocks)
    assert reduction.outputs == (4, 5, 6)  # the paper's figure; the authors' code keeps one more
    assert reduction.stride == 2


@pytest.mark.parametrize("size", [8, 80])
def test_all_operations_of_nasnet_work_in_both_cells_and_sizes(size: int) -> None:
    task = Task(classes=2, channels=1, height=size, width=size)
    for place in range(0, len(OPERATIONS), 2):
        pair = (OPERATIONS[place], OPERATIONS[(place + 1) % len(OPERATIONS)])
        space = NasnetSpace(cells=1, filters=8, blocks=2)
        point: dict[str, object] = {}
        for cell in ("normal", "reduction"):
            for number, (left, right) in enumerate((pair, pair[::-1]), 1):
                name = f"{cell}.block{number}"
                point |= {f"{name}.left": left, f"{name}.right": right, f"{name}.join": ("add", "concat")[number - 1]}
                point |= {f"{name}.left_input": "before", f"{name}.right_input": ("present", "block1")[number - 1]}
        network = space.build(space.check(point), task).eval()
        images = torch.randn(1, 1, size, size)
        graph = GraphNetwork(capture(network, images.shape)).eval()
        torch.testing.assert_close(graph(images), network(images), rtol=1e-4, atol=1e-4)


def test_cells_are_transferred_to_larger_networks() -> None:
    space = NasnetSpace(filters=8, blocks=2)
    point = space.random(np.random.default_rng(0))
    least, *larger = (space, *space.larger())
    madds = [count(each.build(point, DIGITS), (1, 1, 8, 8)).madds for each in (least, larger[0], larger[-1])]
    assert madds == sorted(madds)
    assert madds[-1] > 5 * madds[0]
    assert all(not each.larger() for each in larger)


def test_a_scaled_network_is_narrower_shallower_and_for_smaller_images() -> None:
    space = load_space("scaling:mobilenet_v2")
    whole = space.check({"width": 0.5, "depth": 1.0, "resolution": 1.0})
    task = Task(classes=3, channels=1, height=32, width=32)
    madds = []
    for change in ({}, {"width": 0.25}, {"depth": 0.5}, {"resolution": 0.5}):
        point = space.check({**whole, **change})
        madds.append(count(space.build(point, task), (1, 1, *space.input_size(point, task))).madds)
    assert all(smaller < madds[0] for smaller in madds[1:])
    assert space.input_size(space.check({**whole, "resolution": 0.5}), task) == (16, 16)


@pytest.mark.parametrize("name", ["mobilenet_v4_conv_small", "shufflenet_v2", "mnasnet_small"])
def test_a_scaled_network_has_the_form_for_small_images_that_fit_gives_it(name: str) -> None:
    space = load_space(f"scaling:{name}")
    point = space.check({"width": 0.1, "depth": 1.0, "resolution": 1.0})
    plan = CandidateNetwork(name, 0.1, 1, DIGITS.size, DIGITS.classes)
    assert count(space.build(point, DIGITS), (1, 1, 8, 8)).params == count(plan.build(), (1, 1, 8, 8)).params
    assert plan.build().classifier[-1].in_features == options_for(name, DIGITS.size, 0.1)["head_width"]


def test_a_scaled_network_gets_no_images_that_it_does_not_take() -> None:
    space = load_space("scaling:alexnet")
    task = Task(classes=2, channels=1, height=96, width=96)
    sizes = [space.input_size(space.check({"depth": 1.0, "resolution": share}), task) for share in (1.0, 0.75, 0.5)]
    assert sizes == [(96, 96), (72, 72), (96, 96)]


def test_points_are_written_and_read_in_both_forms_and_by_hand(tmp_path: Path) -> None:
    for space in (space_named("toml"), load_space("nasnet", 0.1)):
        point = space.random(np.random.default_rng(1))
        for name in ("point.toml", "point.json"):
            save_point(tmp_path / name, space, point)
            assert load_point(tmp_path / name, space) == point
    by_hand = tmp_path / "hand.toml"
    by_hand.write_text(
        '[block1]\noperation = "separable"\nkernel = 5\nlayers = 1\n'
        '[block2]\noperation = "shuffle3"\nfilters = 12\n[block3]\nlayers = 0\n'
    )
    point = load_point(by_hand, space_named("toml"))
    assert space_named("toml").describe(point)[1] == "block 2: shuffle3 to 12 channels stride 2"
    assert space_named("toml").describe(point)[2] == "block 3: left out"
    assert "expansion" not in point_text(space_named("toml"), point)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"block1.kernal": 3}, "did you mean block1.kernel?"),
        ({"block1.kernel": 4}, "block1.kernel must be one of 3, 5, not 4."),
        ({"block2.squeeze_excite": 1}, "block2.squeeze_excite must be one of false, true, not 1."),
        ({"block1.layers": None}, "The point has no block1.layers. In the space mine it is one of 1, 2"),
    ],
)
def test_mistakes_in_a_point_are_explained(change: dict[str, object], says: str) -> None:
    good: dict[str, object] = {"block1.operation": "inverted", "block1.kernel": 3, "block1.layers": 2}
    good |= {"block2.operation": "conv", "block2.squeeze_excite": True, "block2.filters": 12, "block3.layers": 0}
    space_named("toml").check(good)
    wrong = {name: choice for name, choice in {**good, **change}.items() if choice is not None}
    with pytest.raises(UsageError) as error:
        space_named("toml").check(wrong)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stem = 8\nlast = 8\n", "needs a [[block]]"),
        ("last = 8\n[[block]]\nfilters = [8, 16]\n", "stem is missing"),
        ("stem = 8\nlast = 8\n[[block]]\nfilters = 8\n", "at least one decision"),
        ("stem = 8\nlast = 8\n[[block]]\nfilter = 8\n", "block 1: a block has no field filter"),
        (
            "stem = 8\nlast = 8\n[[block]]\noperation = ['swirl']\n",
            "the unknown operation swirl; choose from conv, separable",
        ),
        ("stem = 8\nlast = 8\n[[block]]\nlayers = [0, 1]\nstride = 2\n", "cannot be combined"),
        ("stem = 8\nlast = 8\n[[block]]\nkernel = [2, 3]\n", "a kernel that is not an odd number"),
        ("stem = 8\nlast = 8\n[[block]]\nfilters = [8, 8]\n", "lists a choice twice"),
        ("stem = 8\nlast = 8\n[[block]]\nfilters = [7]\noperation = ['shuffle3']\n", "an odd number of filters"),
        ("stem = ", "is not valid TOML"),
    ],
)
def test_mistakes_in_a_space_s_file_are_explained(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_space(str(path))
    assert says in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "needs DECISIONS"),
        ("DECISIONS = {'a': []}", "The decision a has no choices."),
        (
            "DECISIONS = {'a': [(1, 2)]}",
            "The decision a has the choice (1, 2), which is not text, a number or a boolean.",
        ),
        ("raise RuntimeError('no')", "cannot be executed: RuntimeError: no"),
    ],
)
def test_mistakes_in_a_space_s_program_are_explained(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_space(str(path))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mnasnet2", "Did you mean mnasnet?"),
        ("scaling:mobilnet_v2", "Did you mean mobilenet_v2?"),
        ("absent.toml", "Cannot read"),
        ("absent.py", "Cannot read"),
    ],
)
def test_unknown_spaces_are_explained(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        load_space(name)
    assert "mobilenet" in SPACES


def test_decisions_need_earlier_ones_only() -> None:
    choices: tuple[Choice, ...] = (1, 2)
    with pytest.raises(UsageError, match="not an earlier decision"):
        check_decisions([Decision("a", choices, (("b", (1,)),)), Decision("b", choices)])
    with pytest.raises(UsageError, match="Two decisions are called a"):
        check_decisions([Decision("a", choices), Decision("a", choices)])


def test_strides_are_dropped_from_the_front() -> None:
    assert at_most(8, [2, 2, 1, 2, 2, 2]) == (1, 1, 1, 2, 2, 2)
    assert at_most(32, [2, 2]) == (2, 2)
