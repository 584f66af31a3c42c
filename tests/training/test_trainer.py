import random
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from pocketcnn.errors import UsageError
from pocketcnn.training import NonFiniteLoss, Recipe, evaluate, train
from pocketcnn.training.checkpoint import load_newest
from tests.support.training import QUICK, Digits, Notes, course, same_weights, small_net


def test_it_learns_the_digits_and_keeps_the_best_epoch() -> None:
    network, notes = small_net(), Notes()
    result = train(network, Digits(0, 1200), Digits(1200, 1500), QUICK.with_(epochs=8), progress=notes)
    best = max(result.history, key=lambda r: (r.val_accuracy, -r.val_loss))
    assert result.val_accuracy > 0.9
    assert (result.best_epoch, result.val_accuracy, result.val_loss) == (best.epoch, best.val_accuracy, best.val_loss)
    found = evaluate(network, Digits(1200, 1500))
    assert found.top1 == pytest.approx(best.val_accuracy)
    assert found.loss == pytest.approx(best.val_loss, rel=1e-4)
    assert tuple(notes.records) == result.history
    assert len(notes.losses) == result.steps == 8 * 38
    batches = [32] * 37 + [16]
    assert result.history[0].loss == pytest.approx(np.average(notes.losses[:38], weights=batches), rel=1e-5)
    assert result.as_dict()["history"][7]["epoch"] == 8


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_each_optimizer_learns(name: str) -> None:
    rate = {"sgd": 0.1, "adamw": 0.01, "rmsprop": 0.003}[name]
    recipe = QUICK.with_(epochs=5, optimizer=name, learning_rate=rate, weight_decay=1e-4)
    assert train(small_net(), Digits(0, 800), Digits(800, 1000), recipe).val_accuracy > 0.7


def test_a_seed_gives_the_same_twice_and_another_one_does_not() -> None:
    def trained(seed: int) -> nn.Module:
        network = small_net()
        train(network, Digits(0, 96, noise=0.2), Digits(96, 130), QUICK.with_(epochs=1, seed=seed))
        return network

    assert same_weights(trained(4), trained(4))
    assert not same_weights(trained(4), trained(5))


def test_the_callers_random_streams_network_and_signals_are_left_alone() -> None:
    network = small_net().train()
    network[1].eval()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = (torch.rand(1).item(), np.random.rand(), random.random())
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    handler = signal.getsignal(signal.SIGINT)
    train(network, Digits(0, 64, noise=0.1), Digits(64, 96), QUICK.with_(epochs=1))
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected
    assert (network.training, network[1].training) == (True, False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert all(tensor.is_contiguous() for tensor in network.state_dict().values())


def test_without_the_average_the_raw_weights_are_kept() -> None:
    network, notes = small_net(), Notes()
    train(network, Digits(0, 300), Digits(300, 400), QUICK.with_(ema_decay=0.0), progress=notes)
    assert evaluate(network, Digits(300, 400)).top1 == pytest.approx(max(r.val_accuracy for r in notes.records))


@pytest.mark.parametrize("mixing", [{"mixup_alpha": 0.2}, {"cutmix_alpha": 1.0}])
def test_mixed_images_still_teach(mixing: dict[str, float]) -> None:
    recipe = QUICK.with_(epochs=6, **mixing)
    assert train(small_net(), Digits(0, 800), Digits(800, 1000), recipe).val_accuracy > 0.6


def test_label_smoothing_lowers_the_confidence() -> None:
    def confidence(smoothing: float) -> float:
        network = small_net()
        train(network, Digits(0, 600), Digits(600, 700), QUICK.with_(epochs=6, label_smoothing=smoothing))
        with torch.no_grad():
            return float(network.eval()(Digits(0, 600).images).softmax(1).amax(1).mean())

    assert confidence(0.4) < confidence(0.0) - 0.2


class Fixed(nn.Module):
    """AlexNet's way to its classifier: a view that wants contiguous rows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(256, 10)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.conv(images)
        return self.head(features.view(len(images), 4, -1).view(len(images), -1))


def test_a_network_that_needs_contiguous_images_trains_as_well() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Fixed()
    assert train(network, Digits(0, 600), Digits(600, 700), QUICK).val_accuracy > 0.7


def test_a_training_in_another_thread_does_not_touch_signals() -> None:
    found: list[float] = []
    thread = threading.Thread(
        target=lambda: found.append(train(small_net(), Digits(0, 64), Digits(64, 96), QUICK).val_loss)
    )
    thread.start()
    thread.join()
    assert len(found) == 1


def test_a_diverging_training_stops_with_advice_and_its_checkpoint(tmp_path: Path) -> None:
    recipe = Recipe(epochs=4, batch_size=32, optimizer="sgd", learning_rate=1e38, warmup_epochs=0, ema_decay=0)
    with pytest.raises(
        NonFiniteLoss, match=r"epoch 1 of 4, .*try 0\.1\).*another folder\. No checkpoint was saved yet"
    ):
        train(small_net(), Digits(0, 200), Digits(200, 250), recipe, out=tmp_path)


class Poisoned(Digits):
    """One image is not a number."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = super().__getitem__(index)
        return (image * float("nan") if index == 50 else image), label


def test_the_last_checkpoint_before_it_is_good(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLoss, match="holds a checkpoint of step") as caught:
        train(small_net(), Poisoned(0, 320), Digits(320, 350), QUICK, out=tmp_path, checkpoint_seconds=0)
    assert "epoch 1 of 3" in str(caught.value)
    loaded = load_newest(tmp_path / "checkpoints")
    assert loaded is not None
    assert all(bool(torch.isfinite(t).all()) for t in loaded.state["network"].values())


class InfiniteSlope(nn.Module):
    """Its loss is finite, its gradient is not: the square root at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_net()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(images)
        return logits + self.shift.sqrt() * torch.arange(10)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLoss, match=r"step 1: .*No checkpoint was saved yet"):
        train(InfiniteSlope(), Digits(0, 320), Digits(320, 350), QUICK, out=tmp_path, checkpoint_seconds=0)
    assert load_newest(tmp_path / "checkpoints") is None


@pytest.mark.parametrize(
    ("network", "train_set", "val_set", "said"),
    [
        (small_net(), Digits(0, 0), Digits(0, 9), "The training set has no images"),
        (small_net(), Digits(0, 9), Digits(0, 0), "The validation set has no images"),
        (small_net(classes=5), Digits(0, 64), Digits(0, 9), "labels from 0 to 9, but the network has 5 classes"),
        (nn.Conv2d(3, 8, 3), Digits(0, 64), Digits(0, 9), "does not accept images of 1 x 8 x 8"),
        (nn.Conv2d(1, 8, 3), Digits(0, 64), Digits(0, 9), r"must return logits .* shape \(1, 8, 6, 6\)"),
        (small_net(), TensorDataset(torch.zeros(4, 8, 8)), Digits(0, 9), "must be a float tensor"),
        (small_net(), TensorDataset(torch.zeros(4, 1, 8, 8).byte(), torch.zeros(4)), Digits(0, 9), "uint8 tensor"),
    ],
)
def test_what_does_not_fit_is_said_before_it_starts(
    network: nn.Module, train_set: Digits, val_set: Digits, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        train(network, train_set, val_set, QUICK)


def test_an_unknown_device_and_a_zero_stop_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no device 'tpu9'.*Use 'auto', 'cpu'"):
        train(small_net(), Digits(0, 9), Digits(9, 18), QUICK.with_(device="tpu9"))
    with pytest.raises(UsageError, match="stop_after must be at least 1"):
        train(small_net(), Digits(0, 9), Digits(9, 18), QUICK, stop_after=0)


class TwoHeads(nn.Module):
    """In training it returns an auxiliary prediction too, as GoogLeNet does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_net()

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits: Tensor = self.body(images)
        return (logits, logits) if self.training else logits


def test_auxiliary_outputs_are_explained() -> None:
    with pytest.raises(UsageError, match="the network returns tuple instead of logits"):
        train(TwoHeads(), Digits(0, 64), Digits(64, 96), QUICK)


def test_a_single_image_trains() -> None:
    recipe = QUICK.with_(epochs=1)
    assert train(small_net(), Digits(0, 1), Digits(1, 2), recipe).steps == 1


def test_nothing_is_warned_about(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(small_net(), Digits(0, 64), Digits(64, 96), QUICK.with_(epochs=1, workers=2), out=tmp_path)
    assert [str(warning.message) for warning in caught] == []
    assert course(result)
