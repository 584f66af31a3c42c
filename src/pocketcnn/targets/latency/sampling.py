"""Sampling of the networks that a latency table measures: excerpts of random networks in the style of the papers.

A uniform grid of sizes would mostly measure sizes that no network has (nn-Meter, section 4, samples kernels around those of
real networks for the same reason). Here whole networks are drawn, each from blocks of one family with random input size,
widths, depths and expansions. A run of consecutive blocks is taken from each: from one block up to the whole network. So
kernels appear next to the neighbours that they have in networks, and no real network is copied.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from pocketcnn.targets.latency.block_text import BlockError, build, output_shape
from pocketcnn.targets.latency.kernels import split

QUANTA = (8, 8, 8, 8, 8, 8, 16, 4, 2, 1)
"""Channels are multiples of one of these: of 8 in most papers, of any number after pruning."""

GROUP_WIDTHS = (2, 4, 8, 8, 12, 16, 16, 24, 32, 40, 48, 64)
"""Channels of a group: of 8 or 16 in RegNet, 4 to 32 in ResNeXt. Kernel libraries have fast code for some of them only."""

MAX_MADDS = 1.2e9
FEW_MADDS = 3e8
"""Networks above this are kept less often the longer they run."""

CHAIN_SHARE = 0.35
"""Share of the samples that repeat one kernel, to separate kernels that always occur together in networks."""

MAX_WEIGHTS = 2**26
"""Of one linear layer: more than in AlexNet's largest, and more than a cache holds."""

WHOLE_NETWORKS = 0.15
"""Share of the excerpts that are whole networks, which alone show how kernels evict each other's data from caches."""

HEADS, TAILS = 0.2, 0.3
"""Shares of the excerpts that start at the image and that end with the classifier, where most weights are."""


@dataclass
class _Draw:
    """Random sizes of one network; `c` and `h` are the channels and the side of the current feature map."""

    random: Random
    quantum: int
    c: int
    h: int

    def channels(self, about: float, least: int = 4) -> int:
        """About so many channels, a multiple of the network's quantum."""
        return max(least, self.quantum, round(about / self.quantum) * self.quantum)

    def choice(self, *values: int) -> int:
        return self.random.choice(values)

    def near(self, about: float, spread: float = 1.4) -> float:
        """A log-uniform value around `about`, within a factor of `spread`."""
        factor: float = spread ** self.random.uniform(-1, 1)
        return about * factor

    def down(self, s: int) -> None:
        self.h = -(-self.h // s)


Family = Callable[[_Draw, int, int], list[str]]
"""(draw, outputs, stride) -> the blocks of a stage's first unit; with outputs equal to `draw.c` and stride 1, a further unit."""


def _even(n: int, of: int = 2) -> int:
    return max(of, n // of * of)


def _separable(d: _Draw, n: int, s: int) -> list[str]:
    return [f"sep:{d.choice(3, 3, 3, 5)},{s},{n},{d.choice(1, 6)}"]


def _inverted(d: _Draw, n: int, s: int) -> list[str]:
    e = d.channels(d.c * d.random.choice((1, 2, 3, 4, 6, 6, 6)))
    squeeze = d.channels(e / d.choice(4, 24), 8) if d.random.random() < 0.4 else 0
    return [f"ir:{d.choice(3, 3, 5, 7)},{s},{e},{n},{squeeze},{d.choice(1, 6, 6, 2, 2, 3)}"]


def _universal(d: _Draw, n: int, s: int) -> list[str]:
    k0, k1 = d.choice(0, 3, 5), d.choice(0, 3, 5)
    return [f"uib:{k0},{k1 or (3 if s == 2 else 0)},{s},{d.channels(d.c * d.near(4))},{n}"]


def _basic(_: _Draw, n: int, s: int) -> list[str]:
    return [f"basic:{s},{n}"]


def _bottleneck(d: _Draw, n: int, s: int) -> list[str]:
    m = d.channels(n / d.choice(1, 2, 4, 4))
    width = d.choice(4, 8, 16, 16, 24, 32, 0, 0, 0, 0, 0)
    groups = max(1, m // width) if width else 1
    m = groups * width if width else m
    return [f"bott:{s},{m},{n},{groups},{d.channels(m / 4) if d.random.random() < 0.25 else 0}"]


def _res2(d: _Draw, n: int, s: int) -> list[str]:
    first = [f"conv:3,{s},{n},1"] if (s, n) != (1, d.c) else []
    return [*first, f"res2:{d.channels(n / d.choice(4, 8))},{d.choice(2, 4)}"]


def _fire(d: _Draw, n: int, s: int) -> list[str]:
    pool = ["max:3,2"] if s == 2 else []
    return [*pool, f"fire:{d.channels(n / d.choice(4, 8))},{n // 2},{n - n // 2}"]


def _pruned2(d: _Draw, n: int, s: int) -> list[str]:
    if s == 2:
        return [f"pruned2:2,{d.channels(n / 2)},{n}", f"pruned2:1,{d.channels(n / 2)},{n}"]
    return [f"pruned2:1,{d.channels(d.c * d.near(0.4))},{d.c}"]


def _shuffle2(d: _Draw, n: int, s: int) -> list[str]:
    first = [f"shuffle2:2,{_even(n)}"] if s == 2 else ([] if _even(n) == d.c else [f"conv:1,1,{_even(n)},1"])
    return [*first, f"shuffle2:1,{_even(n)}"]


def _shuffle1(d: _Draw, n: int, s: int) -> list[str]:
    groups = d.choice(1, 2, 3, 4, 8)
    wide = _even(n, 8 * groups)
    m = _even(wide // 4, groups)
    if s == 2 and d.c % groups == 0 and wide > d.c:
        joined = wide - d.c
        if joined % groups == 0:
            return [f"shuffle1:2,{m},{joined},{groups}", f"shuffle1:1,{m},{wide},{groups}"]
    first = [f"conv:3,{s},{wide},1"] if (s, wide) != (1, d.c) else []
    return [*first, f"shuffle1:1,{m},{wide},{groups}"]


def _dense(d: _Draw, n: int, s: int) -> list[str]:
    growth = d.channels(d.near(32, 2.5))
    first = [f"conv:1,1,{n},1", "avg:2,2"] if s == 2 else []
    return [*first, f"dense:{growth * 4},{growth}"]


def _condense(d: _Draw, n: int, s: int) -> list[str]:
    groups = d.choice(2, 4, 8)
    growth = _even(d.channels(d.near(24, 2)), groups)
    first = [f"conv:1,1,{_even(n, groups)},1", "avg:2,2"] if s == 2 else []
    return [*first, f"condense:{growth * 4},{growth},{groups}"]


def _ghost(d: _Draw, n: int, s: int) -> list[str]:
    down = [f"dw:3,{s},0"] if s == 2 else []
    return [f"ghost:{_even(d.channels(d.c * d.near(3)))},{d.choice(1, 2)}", *down, f"ghost:{_even(n)},{d.choice(0, 1)}"]


def _inception(d: _Draw, n: int, s: int) -> list[str]:
    parts = [d.channels(n * d.near(share)) for share in (0.25, 0.2, 0.4, 0.08, 0.15, 0.15)]
    return [*(["max:3,2"] if s == 2 else []), "inception:" + ",".join(map(str, parts))]


def _nas(d: _Draw, n: int, s: int) -> list[str]:
    return [*([f"dw:5,{s},0"] if s == 2 else []), f"nas:{d.channels(n / 4)}"]


def _shift(d: _Draw, n: int, s: int) -> list[str]:
    return [*(["avg:2,2"] if s == 2 else []), f"shiftunit:{d.channels(d.c * d.near(3))},{n}"]


def _plain(d: _Draw, n: int, s: int) -> list[str]:
    pool = [f"max:{d.choice(2, 3)},2"] if s == 2 else []
    if d.random.random() < 0.2:
        return [*pool, f"asym:{d.choice(3, 7)},{n},1"]
    return [*pool, f"conv:{d.choice(3, 3, 3, 5, 1)},1,{n},{d.choice(0, 1, 1, 1, 6, 2, 3)}"]


FAMILIES: Mapping[Family, float] = {
    _inverted: 5,
    _separable: 2,
    _universal: 2,
    _basic: 2,
    _bottleneck: 3,
    _res2: 0.7,
    _fire: 1,
    _shuffle2: 2,
    _pruned2: 1.5,
    _shuffle1: 1.5,
    _dense: 1.2,
    _condense: 0.8,
    _ghost: 1,
    _inception: 1,
    _nas: 1.2,
    _shift: 0.8,
    _plain: 1.8,
}
"""Network families and their sampling weights."""


def draw_network(random: Random) -> list[tuple[str, str]]:
    """A random network: (input shape, block) in order, the head last."""
    side = random.choice((32, 64, 96, 128, 160, 192, 224, 224, 224, 224, 240, 256, 288, random.randrange(40, 300, 4)))
    family = random.choices(list(FAMILIES), list(FAMILIES.values()))[0]
    draw = _Draw(random, random.choice(QUANTA), 3, side)
    blocks: list[tuple[str, str]] = []

    def append(names: list[str]) -> None:
        for name in names:
            blocks.append((f"{draw.c}x{draw.h}x{draw.h}", name))
            draw.c, draw.h = _after(draw.c, draw.h, name)

    width = draw.channels(draw.near(24, 2.5))
    append(_stem(draw, width))
    growth = random.uniform(1.5, 2.2)
    about = draw.c * random.choice((1.0, 1.5, 2.0, 4.0))
    for stage in range(random.randint(2, 5)):
        stride = 2 if draw.h >= 7 and (stage or random.random() < 0.6) else 1
        for unit in range(random.randint(1, 5)):
            outputs = draw.channels(about) if unit == 0 else draw.c
            append(family(draw, outputs, stride if unit == 0 else 1))
        about = min(about * growth, 2048)
    append(_head(draw))
    return blocks


def _stem(d: _Draw, width: int) -> list[str]:
    act = d.choice(1, 6, 2, 3)
    if d.h <= 64:
        return [f"conv:3,1,{width},{act}"]
    kinds = [
        [f"conv:3,2,{width},{act}"],
        [f"conv:3,2,{width},{act}"],
        [f"padconv:3,{width},{act}"],
        [f"conv:7,2,{width},1", "max:3,2"],
        [f"conv:3,2,{width},1", "max:3,2"],
        [f"conv:3,2,{width},1", f"conv:3,1,{width},1", f"conv:3,1,{2 * width},1", "max:3,2"],
        [f"conv:3,1,{width},1", f"conv:3,1,{width},1"],
        [f"conv:11,4,{width},1", "max:3,2"],
    ]
    return d.random.choice(kinds)


def _head(d: _Draw) -> list[str]:
    classes = d.choice(10, 100, 1000, 1000)
    wide = d.channels(d.near(d.c * 3, 1.6))
    kinds = [
        ["pool", f"fc:{classes},0"],
        [f"conv:1,1,{wide},{d.choice(1, 6, 2)}", "pool", f"fc:{classes},0"],
        [f"conv:1,1,{wide},2", f"poolconv:{d.channels(d.near(1024))},2", f"fc:{classes},0"],
        [f"conv:1,1,{classes},1", "pool"],
        ["pool", f"fc:{d.channels(d.near(1024, 2))},1", f"fc:{classes},0"],
    ]
    if d.c * d.h * d.h < 30000:
        kinds.append([f"fc:{d.channels(d.near(1024, 3))},1", f"fc:{classes},0"])
    return d.random.choice(kinds)


def _after(c: int, h: int, block: str) -> tuple[int, int]:
    """Channels and side after a block, (F, 1) for a vector."""
    shape = output_shape(f"{c}x{h}x{h} {block}")
    return (shape[0], shape[1]) if len(shape) == 3 else (shape[0], 1)


def draw_chain(random: Random) -> str:
    """A kernel, or a pair of kernels that returns to the input's channels, repeated several times."""
    draw = _Draw(random, random.choice(QUANTA), 0, 0)
    draw.h = random.choice((1, 4, 7, 7, 8, 10, 12, 14, 14, 14, 16, 20, 24, 28, 28, 32, 40, 56, 56, 80, 112))
    draw.c = draw.channels(min(2048.0, draw.near(2500 / (draw.h + 1), 5)), 8)
    other = draw.channels(min(2048.0, draw.near(draw.c, 6)), 8)
    act = draw.choice(0, 1, 6, 2, 3)
    groups, wide = _grouping(draw)
    times = draw.choice(1, 2, 3, 4)
    image = draw.choice(64, 96, 128, 160, 192, 224, 256, 288)
    stem = f"conv:{draw.choice(3, 3, 3, 5, 7)},{draw.choice(1, 2, 2, 2)},{draw.channels(draw.near(24, 2.5))},{act}"
    side, c = draw.h, draw.c
    deep, last = draw.channels(draw.near(224, 2.5), 8), draw.choice(2, 4, 6, 7)
    outputs = min(draw.choice(512, 1024, 2048, 4096, 4096), MAX_WEIGHTS // (deep * last * last))
    pieces = {
        f"3x{image}x{image} {stem}": 1.5,
        f"{c}x{side}x{side}" + f" conv:1,1,{other},{act} conv:1,1,{c},0" * times: 5,
        f"{c}x{side}x{side}" + f" conv:3,1,{other},{act} conv:3,1,{c},{act}" * times: 4,
        f"{c}x{side}x{side}" + f" conv:{draw.choice(1, 3, 5, 7)},2,{other},{act}": 2,
        f"{c}x{side}x{side}" + f" dw:{draw.choice(3, 3, 5, 5, 7, 9)},1,{act}" * times: 3,
        f"{c}x{side}x{side}" + f" dw:{draw.choice(3, 5, 7)},2,{act}": 2,
        f"{wide}x{side}x{side}" + f" grouped:{draw.choice(1, 3, 3)},1,{wide},{groups},{act}" * times: 5,
        f"{wide}x{side}x{side}" + f" grouped:3,2,{wide},{groups},{act}": 1,
        f"{c}x{side}x{side}" + f" conv:1,1,{c},0 se:{draw.channels(c / 4)},{draw.choice(4, 5)}" * times: 1.5,
        f"{c}x{side}x{side}" + f" max:{draw.choice(2, 3)},{draw.choice(1, 2)} conv:1,1,{c},0": 1,
        f"{c}x{side}x{side}" + f" avg:{draw.choice(2, 3)},{draw.choice(1, 2)} conv:1,1,{c},0": 1,
        f"{c}x{side}x{side}" + f" pick conv:1,1,{c},0" * times: 1,
        f"{c}x{side}x{side}" + f" act:{draw.choice(1, 2, 3)} conv:1,1,{c},0" * times: 1,
        f"{c}x{side}x{side} pool" + f" fc:{other},1 fc:{c},0" * times: 1.5,
        f"{deep}x{last}x{last} conv:1,1,{deep},1 fc:{outputs},1 fc:{outputs},1": 1.5,  # weights larger than any cache
    }
    return _with_leading_conv(random.choices(list(pieces), list(pieces.values()))[0])


def _excerpt(random: Random, network: list[tuple[str, str]]) -> str:
    """Consecutive blocks of a network; their number is log-uniform."""
    length = len(network) if random.random() < WHOLE_NETWORKS else round(len(network) ** random.random())
    last = len(network) - length
    start = random.choices((0, last, random.randrange(last + 1)), (HEADS, TAILS, 1 - HEADS - TAILS))[0]
    return _with_leading_conv(" ".join((network[start][0], *(block for _, block in network[start : start + length]))))


def _grouping(d: _Draw) -> tuple[int, int]:
    """(groups, channels): a number of groups, or a width of each, and about as many channels as the draw has."""
    if d.random.random() < 0.3:
        groups = d.choice(2, 4, 8, 16, 32)
        return groups, _even(d.c, groups)
    width = d.choice(*GROUP_WIDTHS)
    groups = max(2, d.c // width)
    return groups, groups * width


def _with_leading_conv(text: str) -> str:
    """The blocks after a pointwise convolution, unless they start with a convolution.

    Runtimes choose the memory layout of a value by the convolution that produces it; the layout of a network's input differs.
    ONNX Runtime's int8 pooling took 50 times as long there.
    """
    shape, first, *rest = text.split()
    if first.startswith(("conv:", "padconv:", "asym:")):
        return text
    channels = shape.partition("x")[0]
    return " ".join((shape, f"conv:1,1,{channels},1", first, *rest))


def plan(seed: int = 0) -> Iterator[str]:
    """An endless sequence of texts to measure; every prefix is a fair sample. Deterministic for a seed."""
    random, seen = Random(seed), set()
    while True:
        try:
            text = draw_chain(random) if random.random() < CHAIN_SHARE else _excerpt(random, draw_network(random))
        except BlockError:  # sizes that do not fit together
            continue
        if text in seen or not _is_wanted(random, text):
            continue
        seen.add(text)
        yield text


def _is_wanted(random: Random, text: str) -> bool:
    """Whether a text can be built and does not take too long to measure."""
    try:
        madds = sum(group.kernel.madds for group in split(build(text)))
    except BlockError:
        return False
    return madds < MAX_MADDS and random.random() < FEW_MADDS / max(madds, FEW_MADDS)
