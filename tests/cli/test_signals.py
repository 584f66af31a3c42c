"""SIGTERM and SIGHUP end a command as Ctrl-C does, also outside of a training."""

import signal
import threading

import pytest

from pocketcnn.cli.signals import stopped_like_ctrl_c


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_they_become_ctrl_c_and_their_handlers_come_back(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    try:
        with pytest.raises(KeyboardInterrupt), stopped_like_ctrl_c():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_what_is_ignored_or_handled_otherwise_is_left_alone() -> None:
    seen: list[int] = []
    for handler in (signal.SIG_IGN, lambda number, _frame: seen.append(number)):
        before = signal.signal(signal.SIGHUP, handler)
        try:
            with stopped_like_ctrl_c():
                signal.raise_signal(signal.SIGHUP)
        finally:
            signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIGHUP]


def test_other_threads_set_no_handlers() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with stopped_like_ctrl_c():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []
