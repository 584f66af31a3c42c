"""The form of every network for small images: its head, its total stride, and which images it takes."""

import pytest
import torch
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.models import create, network_options, register, registry
from pocketcnn.models.counting import build_without_data, count_without_data
from pocketcnn.models.registry import registration
from pocketcnn.models.small_images import SMALL, is_small, options_for, smallest_side, takes
from tests.support.zoo_forms import NAMES, each, having

DIGITS = (8, 8)
WITH_HEAD = [name for name in having("head_width") if registration(name).smallest_side < SMALL]
WITH_WIDTH = [name for name in WITH_HEAD if "width" in network_options(name)]


def smallest(name: str) -> tuple[int, int]:
    """A small image that the network takes."""
    side = DIGITS[0] if takes(name, DIGITS) else registration(name).smallest_side
    return side, side


def form(name: str, size: tuple[int, int], **options: object) -> nn.Module:
    width = float(options.get("width", 1.0))
    given = {**options_for(name, size, width), **options}
    return build_without_data(lambda: create(name, classes=10, in_channels=1, **given))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def share_of_head(name: str, **options: object) -> float:
    """The share of the parameters that goes with the head, of which at least one channel stays."""
    whole, without = (
        parameters(form(name, smallest(name), **each)) for each in (options, {**options, "head_width": 1})
    )
    return 1 - without / whole


def test_every_network_with_a_head_says_which_one_it_has_for_small_images() -> None:
    silent = [name for name in WITH_HEAD if registration(name).small_image_head is None]
    assert not silent
    assert len(WITH_HEAD) >= 24


@pytest.mark.parametrize("name", each(WITH_WIDTH))
def test_the_head_shrinks_with_the_width_of_a_network_for_small_images(name: str) -> None:
    """In the paper's form it would be up to 83 % of the parameters of a network of a tenth of the width."""
    heads = [options_for(name, DIGITS, width)["head_width"] for width in (0.1, 0.25, 0.5, 1.0)]
    assert heads == sorted(set(heads))
    assert form(name, DIGITS, width=0.1).classifier[-1].in_features == heads[0] <= 0.11 * heads[-1]
    share = share_of_head(name, width=0.1)
    assert share < 1 / 3
    assert share <= share_of_head(name, width=1.0)


@pytest.mark.parametrize("name", each([name for name in WITH_HEAD if name not in WITH_WIDTH]))
def test_the_head_of_a_network_of_one_width_is_narrower_for_small_images(name: str) -> None:
    paper = network_options(name)["head_width"]
    assert share_of_head(name) < 0.7 * share_of_head(name, head_width=paper)


@pytest.mark.parametrize("name", NAMES)
def test_the_published_form_stays_as_it_is_for_images_that_are_not_small(name: str) -> None:
    side = max(224, registration(name).smallest_side)
    options, defaults = options_for(name, (side, side), 0.1), network_options(name)
    assert all(value == defaults[option] for option, value in options.items())
    assert "head_width" not in options


@pytest.mark.parametrize("name", each())
def test_every_network_takes_images_of_every_size_that_it_is_said_to_take(name: str) -> None:
    for side in (8, 32, 67):
        if takes(name, (side, side)):
            narrow = {"width": 0.25} if "width" in network_options(name) else {}
            network = form(name, (side, side), **narrow)
            assert count_without_data(network, (1, side, side)).madds > 0


@pytest.mark.parametrize("name", each([name for name in NAMES if registration(name).smallest_side > 1]))
def test_the_default_form_takes_its_smallest_image_and_none_half_as_large(name: str) -> None:
    side = registration(name).smallest_side
    network = build_without_data(lambda: create(name))
    with torch.no_grad():
        assert network(torch.empty(1, 3, side, side, device="meta")).shape == (1, 1000)
        with pytest.raises(RuntimeError):
            network(torch.empty(1, 3, side // 2, side // 2, device="meta"))


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_is_taken_square_or_oblong_and_a_smaller_one_refused_in_words(name: str) -> None:
    side = smallest_side(name)
    for size in ((side, side), (side, side + 9), (2 * side + 1, side)):
        narrow = {"width": 0.25} if "width" in network_options(name) else {}
        network = form(name, size, **narrow)
        with torch.no_grad():
            assert network(torch.empty(1, 1, *size, device="meta")).shape == (1, 10)
    if side > 1:
        for size in ((side - 1, side - 1), (side + 9, side - 1)):
            with pytest.raises(UsageError, match=f"at least {side} pixels a side"):
                options_for(name, size)


@pytest.mark.parametrize("name", [name for name in NAMES if not takes(name, DIGITS)])
def test_images_that_are_too_small_are_refused_in_words(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} takes images of at least .* pixels a side, not 8 x 8"):
        options_for(name, DIGITS)


def test_a_network_s_total_stride_is_asked_for_at_most() -> None:
    assert options_for("squeezenet1_1", (224, 224)) == {"total_stride": 16}
    assert options_for("mobilenet_v2", (224, 224)) == {"total_stride": 32}
    assert options_for("mobilenet_v2", (32, 40), 0.5) == {"total_stride": 8, "head_width": 640}
    assert is_small((63, 200))


def test_a_head_for_small_images_needs_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))

    def headless(*, classes: int, in_channels: int) -> nn.Module:
        return nn.Linear(in_channels, classes)

    with pytest.raises(ValueError, match="lacks the keyword head_width"):
        register("headless", small_image_head=64)(headless)
    register("headless")(headless)
    assert options_for("headless", DIGITS) == {}
