from math import comb

import numpy as np

from pocketcnn.runtimes.intervals import median_interval, ratio_interval


def coverage(count: int) -> float:
    """Exact probability that the interval's ranks enclose the median of any continuous distribution."""
    low, high = (int(rank) for rank in median_interval(np.arange(1.0, count + 1)))
    return sum(comb(count, below) for below in range(low, high)) / 2**count


def test_covers_the_median_at_95_percent_for_every_number_of_samples():
    assert min(coverage(count) for count in range(6, 500)) >= 0.95


def test_is_hardly_wider_than_it_must_be():
    assert max(coverage(count) for count in range(100, 500)) < 0.98


def test_few_samples_give_their_range():
    assert median_interval(np.array([1.0, 2.0, 9.0])) == (1.0, 9.0)


def test_one_sample_is_its_own_interval():
    assert median_interval(np.array([4.0])) == (4.0, 4.0)


def test_the_ratio_of_a_session_to_itself_is_one_exactly():
    samples = np.random.default_rng(0).lognormal(size=50)
    assert ratio_interval(samples, samples) == (1.0, 1.0)


def test_the_ratio_interval_holds_the_true_ratio_in_about_95_of_100():
    random = np.random.default_rng(3)
    held = 0
    for seed in range(100):
        samples = random.lognormal(sigma=0.1, size=(2, 60))
        low, high = ratio_interval(3 * samples[0], samples[1], resamples=200, seed=seed)
        held += low <= 3 <= high
    assert 90 <= held <= 99
