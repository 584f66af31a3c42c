import io

import torch
from rich.console import Console

from pocketcnn.training import ConsoleProgress, EpochRecord, train
from tests.support.training import QUICK, Digits, small_net


def test_in_a_log_it_is_one_line_an_epoch() -> None:
    stream = io.StringIO()
    progress = ConsoleProgress("mobilenet_v2", Console(file=stream, width=60))
    result = train(small_net(), Digits(0, 64), Digits(64, 96), QUICK, progress=progress)
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"mobilenet_v2: epoch {n}/3" for n in (1, 2, 3)]
    assert f"val accuracy {result.history[2].val_accuracy:.2%}" in lines[2]
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_it_is_a_bar_with_the_time_left() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=120, force_terminal=True)
    with ConsoleProgress("fit", console) as progress:
        progress.start(epochs=4, steps_per_epoch=10, steps_done=10)
        for step in range(10):
            progress._drawn = float("-inf")  # each step is drawn, whatever the clock says
            progress.step(2, torch.tensor(0.5 + step))
        progress.epoch(EpochRecord(2, 0.5, 0.1, 0.25, 0.875, 1.0))
        progress._drawn = float("-inf")
        progress.step(3, torch.tensor(0.125))
        progress._bar.refresh()
    shown = stream.getvalue()
    assert "fit · epoch 3/4" in shown
    assert "21/40" in shown
    assert "loss 0.125 · val 87.5%" in shown
    assert "left" in shown


def test_the_loss_is_not_read_at_every_step() -> None:
    """Reading it waits for an accelerator."""
    progress = ConsoleProgress(console=Console(file=io.StringIO(), force_terminal=True))
    reads = []

    class Loss(torch.Tensor):
        def __float__(self) -> float:
            reads.append(1)
            return 0.0

    with progress:
        progress.start(epochs=1, steps_per_epoch=500, steps_done=0)
        for _ in range(500):
            progress.step(1, torch.zeros(()).as_subclass(Loss))
    assert 1 <= len(reads) < 100


def test_notes_are_printed_as_they_are() -> None:
    stream = io.StringIO()
    ConsoleProgress(console=Console(file=stream, width=40)).note("a [bold] long note " + "x" * 50)
    assert stream.getvalue() == "a [bold] long note " + "x" * 50 + "\n"
