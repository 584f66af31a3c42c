import threading

import pytest

from pocketcnn.data.threads import default_workers, thread_map


def test_results_come_in_order_whatever_the_number_of_workers():
    for workers in (1, 3, None):
        assert list(thread_map(lambda n: n * n, range(50), workers)) == [n * n for n in range(50)]


def test_an_error_reaches_the_caller_and_the_rest_is_not_begun():
    begun = []
    gate = threading.Event()

    def work(number):
        begun.append(number)
        if number == 0:
            raise ValueError("first")
        gate.wait(0.01)

    with pytest.raises(ValueError, match="first"):
        list(thread_map(work, range(1000), workers=1))
    assert len(begun) < 1000


def test_leaving_early_drops_the_rest():
    begun = []
    gate = threading.Event()
    results = thread_map(lambda number: (begun.append(number), gate.wait(0.01)), range(1000), workers=1)
    next(results)
    results.close()
    assert len(begun) < 1000


def test_the_default_is_what_the_process_may_use():
    assert 1 <= default_workers() <= 8
