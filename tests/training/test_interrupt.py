"""Ctrl-C as a terminal sends it: to the training and to its worker processes at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from pocketcnn.training import train
from pocketcnn.training.interrupt import STOPPING, StopRequested, deferred_interrupts
from tests.support.training import QUICK, Digits, course, same_weights, small_net

RECIPE = QUICK.with_(epochs=10, workers=2)


@pytest.fixture(autouse=True)
def _usual_handlers() -> Iterator[None]:
    """Those of a terminal: under nohup SIGHUP is ignored, also by child processes."""
    usual = dict.fromkeys(STOPPING, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class SlowDigits(Digits):
    """So slow to read that the training is waiting for its workers nearly always."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        time.sleep(0.003)
        return super().__getitem__(index)


SCRIPT = """
import sys
from pathlib import Path
from test_interrupt import RECIPE, SlowDigits
from tests.support.training import Digits, small_net
from pocketcnn.errors import PocketcnnError
from pocketcnn.training import ConsoleProgress, train
try:
    train(small_net(), SlowDigits(0, 160), Digits(160, 240), RECIPE, out=Path(sys.argv[1]), progress=ConsoleProgress())
except PocketcnnError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "closed"])
def test_a_terminal_stops_the_training_and_not_its_workers(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its own process group, as the foreground job of a terminal
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    with process.stderr:
        seen = process.stderr.readline()
        os.killpg(process.pid, number)
        rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "epoch 1/10" in seen
    assert "Traceback" not in rest
    assert "--resume" in rest

    resumed, through = small_net(seed=9), small_net()
    result = train(resumed, Digits(0, 160), Digits(160, 240), RECIPE, out=tmp_path, resume=True)
    expected = train(through, Digits(0, 160), Digits(160, 240), RECIPE.with_(workers=0))
    assert course(result) == course(expected)
    assert same_weights(resumed, through)


@pytest.mark.parametrize("number", STOPPING)
def test_it_waits_for_the_next_check(number: signal.Signals) -> None:
    reached = []

    def stopped() -> None:
        with deferred_interrupts() as interrupts:
            interrupts.check()
            signal.raise_signal(number)
            reached.append("the end of the step")
            interrupts.check()

    with pytest.raises(StopRequested):
        stopped()
    assert reached == ["the end of the step"]


@pytest.mark.parametrize("number", STOPPING)
def test_one_after_the_last_check_is_not_lost(number: signal.Signals) -> None:
    def stopped() -> None:
        with deferred_interrupts():
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt):
        stopped()


@pytest.mark.parametrize("number", STOPPING)
def test_a_process_that_ignores_it_goes_on_ignoring_it(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with deferred_interrupts() as interrupts:
            signal.raise_signal(number)
            interrupts.check()
    finally:
        signal.signal(number, before)
