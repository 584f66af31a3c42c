import random
from math import sqrt

import pytest

from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.info import Stage
from pocketcnn.records.result import (
    Accuracy,
    ArtefactRecord,
    Candidate,
    DataRecord,
    FitResult,
    LatencyRecord,
    LimitRecord,
    ParityRecord,
    StageRecord,
)

Matrix = tuple[tuple[int, ...], ...]


def accuracy(correct: int, images: int) -> Accuracy:
    """With Wilson's interval, as a fit records it."""
    share, z = correct / images, 1.96
    centre, spread = share + z * z / (2 * images), z * sqrt(share * (1 - share) / images + z * z / (4 * images**2))
    scale = 1 + z * z / images
    return Accuracy(
        top1=share, low=max(0, (centre - spread) / scale), high=min(1, (centre + spread) / scale), images=images
    )


def confusion(classes: int, images: int, recall: float, seed: int) -> Matrix:
    """A matrix whose errors fall on neighbouring classes, as they do between things that look alike."""
    dice = random.Random(seed)
    rows = []
    for true in range(classes):
        row = [0] * classes
        for _ in range(images):
            wrong = (true + dice.choice((1, 1, 1, 2, 3, 5))) % classes
            row[true if dice.random() < recall else wrong] += 1
        rows.append(tuple(row))
    return tuple(rows)


def correct(matrix: Matrix) -> int:
    return sum(row[index] for index, row in enumerate(matrix))


def stage(
    name: str, validation: Accuracy, test: Accuracy, cost: tuple[int, int, int, int], seconds: float, note: str = ""
) -> StageRecord:
    """`cost`: parameters, multiply-adds, bytes of weights, bytes of activations."""
    params, madds, weights, activations = cost
    return StageRecord(
        name=name,
        validation=validation,
        test=test,
        params=params,
        madds=madds,
        weight_bytes=weights,
        peak_activation_bytes=activations,
        seconds=seconds,
        note=note,
    )


def limit(text: str, bound: float, measured: float | tuple[float, float, float], how: str) -> LimitRecord:
    """`measured`: the value, or the value with the ends of its spread."""
    value, low, high = measured if isinstance(measured, tuple) else (measured, measured, measured)
    quantity, _, rest = text.partition("<=")
    return LimitRecord(
        limit=text,
        quantity=quantity,
        bound=bound,
        target=rest.partition("@")[2] or None,
        value=value,
        low=low,
        high=high,
        kept=value <= bound,
        how=how,
    )


def latency(
    artefact: str, target: str, threads: int, times: tuple[float, float, float], repeats: int, converged: bool = True
) -> LatencyRecord:
    """`times`: median, 10th and 90th percentile in seconds."""
    median, p10, p90 = times
    return LatencyRecord(
        artefact=artefact,
        target=target,
        threads=threads,
        median=median,
        p10=p10,
        p90=p90,
        repeats=repeats,
        converged=converged,
    )


@pytest.fixture(scope="session")
def met_result() -> FitResult:
    return make_met_result()


@pytest.fixture(scope="session")
def missed_result() -> FitResult:
    return make_missed_result()


def make_met_result() -> FitResult:
    """Ten classes of small gray images, a budget that is met."""
    matrix = confusion(10, 36, 0.975, seed=1)
    return FitResult(
        version="0.1.0",
        command="pocketcnn fit digits --budget 'size<=60kB, latency<=1ms@onnxruntime-cpu' --out demo",
        budget="size<=60kB, latency<=1ms@onnxruntime-cpu",
        met=True,
        limits=(
            limit("size<=60kB", 60e3, 41_210, "bytes of model.onnx"),
            limit(
                "latency<=1ms@onnxruntime-cpu",
                1e-3,
                (0.000147, 0.000139, 0.000188),
                "model.onnx in ONNX Runtime, 1 thread, 1 image",
            ),
        ),
        artefact=ArtefactRecord(
            file="model.onnx",
            bytes=41_210,
            numerics="int8",
            sha256="9f2c" * 16,
            accuracy=accuracy(correct(matrix), 360),
            validation=accuracy(264, 270),
            confusion=matrix,
        ),
        parity=ParityRecord(
            images=270,
            agreement=1.0,
            float_agreement=0.9963,
            worst_error=0.0391,
            mean_error=0.00212,
            first_difference=None,
        ),
        latencies=(
            latency("the same in float32", "onnxruntime-cpu", 1, (0.000212, 0.000204, 0.00026), 1210),
            latency("deployed", "onnxruntime-cpu", 1, (0.000147, 0.000139, 0.000188), 1544),
        ),
        stages=(
            stage(
                "train",
                accuracy(267, 270),
                accuracy(355, 360),
                (54_210, 1_930_000, 216_840, 24_576),
                38.2,
                "40 epochs in all",
            ),
            stage(
                "prune",
                accuracy(255, 270),
                accuracy(341, 360),
                (26_400, 980_000, 105_600, 16_384),
                1.3,
                "channels to a multiple of 8",
            ),
            stage("recover", accuracy(266, 270), accuracy(354, 360), (26_400, 980_000, 105_600, 16_384), 22.8),
            stage(
                "quantize",
                accuracy(264, 270),
                accuracy(correct(matrix), 360),
                (26_400, 980_000, 28_350, 4_096),
                0.6,
                "int8, per channel",
            ),
        ),
        candidates=tuple(
            candidates(("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"), (0.25, 0.5, 0.75), (8, 8), seed=3)
        ),
        input=InputContract(channels=1, height=8, width=8, mean=(0.305,), std=(0.376,)),
        data=DataRecord(
            name="digits",
            classes=tuple("0123456789"),
            train=1167,
            val=270,
            test=360,
            fingerprint="b1946ac92492d234",
            notes=("1797 images in use",),
            problems=(),
        ),
        lineage=(
            Stage(
                name="create", settings={"network": "mobilenet_v2", "width": 0.5, "strides": [1, 1, 2, 1, 2]}, seed=0
            ),
            Stage(
                name="train",
                settings={"epochs": 40, "learning_rate": 0.05, "label_smoothing": 0.1, "ema": True},
                seed=0,
                data="b1946ac9",
                figures={"accuracy_after": 0.98889},
            ),
            Stage(
                name="quantize",
                settings={"bits": 8, "calibration": {"images": 256, "method": "mse"}},
                figures={"accuracy_before": 0.98519, "accuracy_after": 0.97778},
            ),
        ),
        machine={
            "cpu": "Example CPU @ 2.60GHz",
            "flags": ["avx2", "fma", "avx512_vnni"],
            "cores": 2,
            "system": "Linux 6.1",
            "architecture": "x86_64",
            "python": "3.11.9",
            "torch": "2.13.0",
            "onnxruntime": "1.32.0",
        },
        seed=0,
        seconds=142.3,
        notes=(
            "Images of 8x8 pixels: mobilenet_v2 is used in its form for small images; total stride 4 instead of 32.",
        ),
    )


def make_missed_result() -> FitResult:
    """Forty classes of colour images, a budget missed on two limits, int8 slower than float, files with problems."""
    matrix = confusion(40, 25, 0.71, seed=2)
    classes = tuple(
        f"{kind} {thing}"
        for kind in ("left", "right", "broken", "very small and worn")
        for thing in ("bolt", "nut", "washer", "clip", "pin", "rivet", "spring", "bracket", "hinge", "screw")
    )
    return FitResult(
        version="0.1.0",
        command="pocketcnn fit parts --budget 'size<=100kB, latency<=2ms@onnxruntime-cpu, ram<=256kB, macs<=12M' --out out",
        budget="size<=100kB, latency<=2ms@onnxruntime-cpu, ram<=256kB, macs<=12M",
        met=False,
        closest_miss="Closest miss: size 112 kB, limit 100 kB, missed by 12 %.",
        limits=(
            limit("size<=100kB", 100e3, 112_344, "bytes of model.onnx"),
            limit(
                "latency<=2ms@onnxruntime-cpu",
                2e-3,
                (1.91e-3, 1.84e-3, 2.31e-3),
                "model.onnx in ONNX Runtime, 1 thread, 1 image",
            ),
            limit("ram<=256kB", 256e3, 401_408, "peak of the activations, counted from the graph"),
            limit("macs<=12M", 12e6, 11.2e6, "counted from the graph"),
        ),
        artefact=ArtefactRecord(
            file="model.onnx",
            bytes=112_344,
            numerics="int8",
            sha256="07ab" * 16,
            accuracy=accuracy(correct(matrix), 1000),
            validation=accuracy(728, 1000),
            confusion=matrix,
        ),
        parity=ParityRecord(
            images=1000,
            agreement=0.998,
            float_agreement=0.981,
            worst_error=0.412,
            mean_error=0.0171,
            first_difference="features.3.conv.0",
        ),
        latencies=(
            latency("the same in float32", "onnxruntime-cpu", 1, (1.52e-3, 1.47e-3, 1.77e-3), 402),
            latency("deployed", "onnxruntime-cpu", 1, (1.91e-3, 1.84e-3, 2.31e-3), 380),
            latency(
                "the same in float32", "onnxruntime-cpu-all", 2, (0.98e-3, 0.91e-3, 1.92e-3), 1400, converged=False
            ),
            latency("deployed", "onnxruntime-cpu-all", 2, (0.99e-3, 0.95e-3, 1.33e-3), 1210),
        ),
        stages=(
            stage("train", accuracy(781, 1000), accuracy(774, 1000), (310_000, 38_000_000, 1_240_000, 802_816), 2210),
            stage("prune", accuracy(401, 1000), accuracy(396, 1000), (88_000, 11_200_000, 352_000, 401_408), 9.4),
            stage("recover", accuracy(742, 1000), accuracy(736, 1000), (88_000, 11_200_000, 352_000, 401_408), 1480),
            stage(
                "quantize",
                accuracy(728, 1000),
                accuracy(correct(matrix), 1000),
                (88_000, 11_200_000, 91_000, 100_352),
                4.1,
            ),
        ),
        candidates=tuple(
            candidates(
                ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
                (0.25, 0.35, 0.5, 0.75),
                (96, 128),
                seed=5,
            )
        ),
        input=InputContract(
            channels=3, height=96, width=128, resize="letterbox", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        data=DataRecord(
            name="parts",
            classes=classes,
            train=4_816,
            val=1000,
            test=1000,
            fingerprint="77af778b51abd4a3",
            notes=(
                "6816 images in use",
                "14 converted: cmyk, converted from CMYK to RGB (left bolt/17.jpg, left bolt/18.jpg, left nut/3.jpg and 11 more)",
            ),
            problems=tuple(
                f"left bolt/{number}.jpg: truncated, the file ends before the image does" for number in range(23)
            ),
        ),
        lineage=(Stage(name="train", settings={"epochs": 90}, seed=7, figures={"accuracy_after": 0.781}),),
        machine={"cpu": "Example CPU @ 2.60GHz", "cores": 2, "vnni": False, "onnxruntime": "1.32.0"},
        seed=7,
        seconds=5231.0,
        notes=(
            "The int8 file is slower than the float one on onnxruntime-cpu: this CPU has no VNNI instructions.",
            "Pruning to macs<=12M lowered multiply-adds by 71 % and time by 40 %.",
        ),
    )


def candidates(
    networks: tuple[str, ...], widths: tuple[float, ...], size: tuple[int, int], seed: int
) -> list[Candidate]:
    """Networks x widths through successive halving: the better half of a round goes on to the next."""
    dice = random.Random(seed)
    rounds: dict[tuple[str, float], list[tuple[int, float]]] = {(n, w): [] for n in networks for w in widths}
    alive = list(rounds)
    for epochs in (4, 10, 22):
        for key in alive:
            last = rounds[key][-1][1] if rounds[key] else 0.55 + 0.2 * key[1] ** 0.5
            rounds[key].append((epochs, round(last + (0.99 - last) * dice.uniform(0.3, 0.6), 4)))
        alive = sorted(alive, key=lambda key: -rounds[key][-1][1])[: max(1, (len(alive) + 1) // 2)]
    return [
        Candidate(
            name=f"{network} x{width:g}",
            network=network,
            width=width,
            input_size=size,
            total_stride=4,
            params=int(210_000 * width**2),
            madds=int(3.6e6 * width**2 * (1 + 0.3 * networks.index(network))),
            rounds=tuple(rounds[network, width]),
            chosen=(network, width) == alive[0],
        )
        for network, width in rounds
    ]
