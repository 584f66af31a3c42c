"""The page of the table: a function of the JSON alone."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from scipy.stats import t

from .judging import Figures, over_seeds

SUBJECTS = tuple(
    f"{network} on {data}"
    for data in ("digits", "mnist")
    for network in ("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2")
)
"""What a full run has."""

WANTED_PTQ, WANTED_QAT, WANTED_AGREEMENT = 0.01, 0.003, 0.97
"""What quantization may lose of the accuracy after training and with training, and what it must agree on."""


def page(document: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    machine, networks = document["machine"], [_over_seeds(*item) for item in document["networks"].items()]
    lines = [
        "# Quantization, compared with ONNX Runtime's static quantizer and NNCF",
        "",
        "Made by `python -m benchmarks.compression.quantization`. All quantizers get the same float ONNX files "
        "and the same calibration "
        f"images. Every file is evaluated in ONNX Runtime on {machine['cpu']}. ONNX Runtime and NNCF quantize per "
        "channel, in QDQ form.",
        "",
        '"Lost" is the top-1 accuracy of the float network minus that of the quantized one, in points: mean ± '
        "standard deviation over "
        "training seeds, the worst seed in brackets. A negative figure is a gain.",
        "",
        "## Small networks trained on digits",
        "",
        f"Narrow float networks for grey images of 32 x 32, after about {document['settings']['steps']} optimizer "
        "steps of 32 images. "
        "Learned step sizes are fine-tuned with the float network as teacher.",
    ]
    lines += [line for note in document.get("notes", ()) for line in ("", note)]
    if absent := [title for title in SUBJECTS if title not in document["networks"]]:
        lines += ["", f"Not run yet: {', '.join(absent)}."]
    for data in dict.fromkeys(each["data"] for each in networks):
        lines += ["", *_networks(data, [each for each in networks if each["data"] == data])]
    lines += ["", *_verdict(networks, document.get("imagenet"))]
    for part, section in SECTIONS.items():
        lines += ["", *(section(document[part]) if part in document else [f"The part `{part}` was not run yet."])]
    return "\n".join(lines) + "\n"


def _over_seeds(title: str, seeds: Mapping[str, Any]) -> dict[str, Any]:
    """One network on one set: the figures of its seeds put together, for the files that every seed has."""
    network, data = title.split(" on ")
    found = list(seeds.values())
    exact = [each["accuracy"] for each in found]
    ways = [way for way in found[0]["rows"] if all(way in each["rows"] for each in found)]
    rows = {way: over_seeds([Figures(**each["rows"][way]) for each in found], exact) for way in ways}
    return {**found[0], "network": network, "data": data, "accuracy": exact, "rows": rows}


def _networks(data: str, networks: Sequence[Mapping[str, Any]]) -> list[str]:
    ways = list(dict.fromkeys(way for network in networks for way in network["rows"]))
    head = [f"{data}, {networks[0]['test_images']} test images", *(network["network"] for network in networks)]
    about = [
        ["float, accuracy", *(_percents(network["accuracy"]) for network in networks)],
        ["images to calibrate on", *(str(network["calibration"]) for network in networks)],
        ["optimizer steps with learned step sizes", *(str(network["tuning"]) for network in networks)],
    ]
    lost = [[way, *(_lost(network["rows"].get(way)) for network in networks)] for way in ways]
    agreement = [[way, *(_agreement(network["rows"].get(way)) for network in networks)] for way in ways]
    return [
        *_table(head, [*about, *lost]),
        "",
        "Agreement with the float network, mean over the seeds and the worst seed:",
        "",
        *_table([data, *head[1:]], agreement),
    ]


def _verdict(networks: Sequence[Mapping[str, Any]], photographs: Mapping[str, Any] | None) -> list[str]:
    """Where a target is missed, and where a peer does better by more than one image."""
    missed = [line for network in networks for line in _missed(network)]
    if photographs is not None:
        missed += _missed_on_photographs(photographs)
    return [
        "## Missed goals",
        "",
        "The goals: at most 1 point lost after training, at most 0.3 with learned steps, 97 % agreement on photographs, and no "
        "other quantizer better by more than one test image.",
        "",
        *([f"- {line}." for line in missed] or ["Nowhere in this run."]),
    ]


def _missed_on_photographs(found: Mapping[str, Any]) -> list[str]:
    rows, name = found["rows"], found["network"]
    mine = rows["ours, defaults"]["agreement"]
    wanted = f"{name}: the defaults agree on {mine:.1%}, {WANTED_AGREEMENT:.0%} wanted"
    ahead = [way for way in _peers(rows) if rows[way]["agreement"] > mine]
    return [
        *([wanted] if mine < WANTED_AGREEMENT else []),
        *(f"{name}: {way} agrees on more, {rows[way]['agreement']:.1%}" for way in ahead),
    ]


def _missed(network: Mapping[str, Any]) -> list[str]:
    name, rows = f"{network['network']} on {network['data']}", network["rows"]
    lost = {way: row["lost"]["mean"] for way, row in rows.items()}
    missed = [
        f"{name}: {way} lose {_points(lost[way])} points, {_points(bound)} wanted"
        for way, bound in (("ours, defaults", WANTED_PTQ), ("ours, learned steps", WANTED_QAT))
        if lost.get(way, 0.0) > bound
    ]
    best = min(_peers(rows), key=lost.__getitem__, default=None)
    if best and lost[best] < lost["ours, defaults"] - 1 / network["test_images"]:
        missed.append(
            f"{name}: {best} loses {_points(lost[best])} points, our defaults {_points(lost['ours, defaults'])}"
        )
    return missed


def _peers(rows: Iterable[str]) -> list[str]:
    return [way for way in rows if not way.startswith("ours")]


def _imagenet(found: Mapping[str, Any]) -> list[str]:
    ordered = sorted(found["rows"].items(), key=lambda item: -item[1]["noise_db"])
    rows = [[way, f"{figures['agreement']:.1%}", f"{figures['noise_db']:.1f}"] for way, figures in ordered]
    return [
        f"## {found['network']}",
        "",
        f"{found['test_images']} crops of four photographs, calibrated on {found['calibration']} crops of twelve "
        "others. The last column "
        "is the signal-to-noise ratio of the logits in decibels.",
        "",
        *_table(["", "agreement with float", "dB"], rows),
    ]


def _clipping(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            {"relu6": "ReLU6", "relu": "ReLU"}[activation],
            _percents(figures["accuracy"]),
            *(_lost(figures["rows"][bits]) for bits in ("8", "6", "4")),
        ]
        for activation, figures in found.items()
    ]
    return [
        "## ReLU6 in low precision",
        "",
        'MobileNetV2 uses ReLU6 "because of its robustness when used with low-precision computation" (section 3.5). The '
        "same network is trained with either on digits. Points lost with weights and activations in few bits:",
        "",
        *_table(["activation", "float, accuracy", "8 bits", "6 bits", "4 bits"], rows),
        "",
        _claim(found),
    ]


def _claim(found: Mapping[str, Any]) -> str:
    """What the figures say of the claim: the difference of the means, and whether its 95 % interval leaves out 0."""
    count = len(found["relu"]["accuracy"])
    sentences = []
    for bits in ("8", "6", "4"):
        clipped, free = (found[activation]["rows"][bits]["lost"] for activation in ("relu6", "relu"))
        error = ((clipped["deviation"] ** 2 + free["deviation"] ** 2) / count) ** 0.5
        gap, half = (
            free["mean"] - clipped["mean"],
            float(t.ppf(0.975, 2 * count - 2)) * error if count > 1 else math.inf,
        )
        if abs(gap) <= half:
            sentences.append(f"at {bits} bits no significant difference ({_points(gap)} ± {_points(half)} points)")
        else:
            better = "ReLU6" if gap > 0 else "ReLU"
            sentences.append(f"at {bits} bits {better} loses {_points(abs(gap))} ± {_points(half)} points less")
    return f"With {count} seeds each and 95 % intervals: {'; '.join(sentences)}."


def _mixed(found: Mapping[str, Any]) -> list[str]:
    rows = [[f"{way} %", _lost(figures), f"{figures['size'] / 1000:.1f}"] for way, figures in found["rows"].items()]
    return [
        "## Mixed precision",
        "",
        "MobileNetV2 on digits with 8-bit activations. The weights of the least sensitive layers get 4 bits, "
        "until all weights fit a "
        "share of their 8-bit size. At 50 % all layers have 4 bits.",
        "",
        *_table(["bytes of weights", "points lost", "kB of weights"], rows),
    ]


SECTIONS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = MappingProxyType(
    {"imagenet": _imagenet, "clipping": _clipping, "mixed": _mixed}
)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _lost(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    lost = row["lost"]
    if len(row["seeds"]) == 1:
        return f"{_points(lost['mean'])} (one seed)"
    return f"{_points(lost['mean'])} ± {_points(lost['deviation'])} ({_points(lost['worst'])})"


def _agreement(row: Mapping[str, Any] | None) -> str:
    return "" if row is None else f"{row['agreement']['mean']:.1%} ({row['agreement']['worst']:.1%})"


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.1%}" for share in shares)


def _points(share: float) -> str:
    return f"{100 * share:.2f}"
