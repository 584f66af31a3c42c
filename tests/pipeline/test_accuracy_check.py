"""Losses and chance, judged with intervals."""

import numpy as np
import pytest

from pocketcnn.errors import UsageError
from pocketcnn.pipeline.accuracy_check import (
    baseline,
    baseline_of,
    chance_warnings,
    is_near_chance,
    loss,
    loss_warnings,
)
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.records.result import Accuracy, StageRecord
from pocketcnn.training import wilson_interval


def of(right: int, images: int) -> Accuracy:
    low, high = wilson_interval(right, images)
    return Accuracy(top1=right / images, low=low, high=high, images=images)


def stages(**right: int) -> list[StageRecord]:
    """Stages by name with right answers on 270 images."""
    return [
        StageRecord(
            name=name.replace("__", ", ").replace("_", "-"),
            validation=of(count, 270),
            test=of(count, 270),
            params=1,
            madds=1,
            weight_bytes=1,
            peak_activation_bytes=1,
            seconds=0.0,
        )
        for name, count in right.items()
    ]


@pytest.mark.parametrize(("before", "after"), [(0.97, 0.93), (0.97, 0.12), (0.6, 0.55), (0.99, 0.99)])
@pytest.mark.parametrize("images", [30, 270, 2000])
def test_the_interval_holds_the_true_loss(before: float, after: float, images: int) -> None:
    rng = np.random.default_rng(0)
    draws = rng.binomial(images, before, 400), rng.binomial(images, after, 400)
    found = [loss(of(int(a), images), of(int(b), images)) for a, b in zip(*draws, strict=True)]
    inside = np.mean([each.low <= before - after <= each.high for each in found])
    assert inside > 0.92
    assert np.mean([each.value for each in found]) == pytest.approx(before - after, abs=0.02)


def test_noise_is_no_loss_and_a_loss_is() -> None:
    """Beyond the amount and beyond chance, both."""
    assert loss(of(260, 270), of(44, 270)).exceeds(0.02)
    assert loss(of(264, 270), of(251, 270)).exceeds(0.02)
    assert not loss(of(264, 270), of(251, 270)).exceeds(0.06)
    assert not loss(of(29, 30), of(27, 30)).exceeds(0.02)  # two images of thirty
    assert not loss(of(44, 270), of(260, 270)).exceeds(0.0)


def test_the_baseline_is_the_commonest_class() -> None:
    assert baseline([[5, 0, 0], [1, 2, 0], [0, 0, 2]]) == 0.5
    assert baseline_of([0, 1, 1, 1, 2]) == 0.6


@pytest.mark.parametrize(
    ("right", "images", "chance", "near"),
    [
        (44, 268, 0.104, True),  # the interval lies above the baseline, and the network is useless all the same
        (27, 268, 0.104, True),
        (230, 268, 0.104, False),
        (258, 268, 0.9, False),
        (245, 268, 0.9, True),  # nine of ten images are of one class
        (20, 27, 0.33, False),
        (5, 6, 0.5, True),  # too few images to tell
    ],
)
def test_near_chance(right: int, images: int, chance: float, near: bool) -> None:
    assert is_near_chance(of(right, images), chance) == near
    assert bool(chance_warnings(of(right, images), chance)) == near


def test_what_is_said() -> None:
    (text,) = chance_warnings(of(44, 268), 0.104)
    assert text == (
        "The accuracy is near chance. The file classifies 16.4 % of 268 test images correctly (95 % interval 12.5 % to 21.3 %); "
        "always predicting the most frequent class gives 10.4 %. Do not deploy it."
    )
    assert "With so few images" in chance_warnings(of(5, 6), 0.5)[0]
    (text,) = loss_warnings(stages(given=260, sparse=258, clustered=44), of(44, 270), 0.02)
    assert "The step “clustered” cost 79.3 points of the validation accuracy (95.6 % to 16.3 % of 270 images" in text
    assert (
        "at most 2 points are accepted. To lose less, use more bits for the clustered weights (--cluster-bits)" in text
    )


def test_only_what_is_lost_in_the_end_is_said() -> None:
    made_up_for = stages(given=260, quantized=200, quantized__fine_tuned=259)
    made_up_for[2] = made_up_for[2].model_copy(update={"name": "quantized, fine-tuned"})
    assert loss_warnings(made_up_for, of(259, 270), 0.02) == ()
    worse = stages(given=260, pruned=200, sparse=258)
    assert loss_warnings(worse, of(258, 270), 0.02) == ()
    assert len(loss_warnings(worse, of(201, 270), 0.02)) == 2
    creeping = stages(given=265, pruned=260, sparse=255, clustered=249)
    (text,) = loss_warnings(creeping, of(245, 270), 0.02)
    assert text.startswith("All steps together cost 7.4 points")
    assert "written" in loss_warnings(stages(given=265), of(100, 270), 0.02)[0]
    assert loss_warnings([], of(1, 270), 0.02) == ()


def test_the_accepted_loss_is_a_share() -> None:
    assert CompressionMethod().max_loss == 0.02
    with pytest.raises(UsageError, match="between 0 and 1, not 2"):
        CompressionMethod(max_loss=2)
