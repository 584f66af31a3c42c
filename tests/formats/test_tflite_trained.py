"""A trained network in int8: LiteRT's answers are the simulation's, on every set of kernels."""

from statistics import mean

import pytest

from pocketcnn.formats.tflite import to_tflite
from tests.support.tflite import KERNELS, run, simulated
from tests.support.trained_digits import SEEDS, digits, int8_digits


@pytest.mark.parametrize("kernels", KERNELS)
def test_answers_agree_on_at_least_99_percent_of_unseen_images(kernels: str) -> None:
    images, labels = digits(training=False)
    same, right = [], []
    for seed in SEEDS:
        graph = int8_digits(seed).graph
        expected, answers = simulated(graph, images).argmax(1), run(to_tflite(graph), images, kernels).argmax(1)
        assert float((expected == labels).float().mean()) > 0.85, "the network has learned something"
        same.append(float((answers == expected).float().mean()))
        right.append(float((answers == labels).float().mean()))
    assert mean(same) >= 0.99
    assert min(right) > 0.85
