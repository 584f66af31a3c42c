import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, recall_score, top_k_accuracy_score
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from pocketcnn.errors import UsageError
from pocketcnn.training import evaluate, predict_logits, wilson_interval
from tests.support.training import Digits, small_net


class Lookup(nn.Module):
    """Its logits are the image's own pixels: a network with known answers."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def known(classes: int, count: int = 70) -> tuple[TensorDataset, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(count, 1, 1, classes, generator=generator)
    labels = torch.randint(0, classes - 1, (count,), generator=generator)  # the last class has no images
    return TensorDataset(logits, labels), logits.flatten(1), labels


def test_every_figure_agrees_with_scikit_learn() -> None:
    dataset, logits, labels = known(8)
    found = evaluate(Lookup(), dataset, batch_size=16)
    right = logits.argmax(1).numpy()
    names = np.arange(8)
    assert found.count == 70
    assert found.top1 == pytest.approx((right == labels.numpy()).mean())
    assert found.top5 == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=names))
    assert found.loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
    assert np.array_equal(found.confusion, confusion_matrix(labels, right, labels=names))
    assert found.recall[:7] == pytest.approx(recall_score(labels, right, labels=names[:7], average=None))
    assert found.recall[7] is None
    assert found.top1_interval[0] < found.top1 < found.top1_interval[1]


def test_top5_says_nothing_with_five_classes() -> None:
    assert evaluate(Lookup(), known(5)[0]).top5 is None


def test_logits_come_in_the_order_of_the_set() -> None:
    dataset, logits, _ = known(6)
    torch.testing.assert_close(predict_logits(Lookup(), dataset, batch_size=32), logits)


def test_the_mode_of_each_module_is_restored() -> None:
    network = small_net().train()
    network[1].eval()
    statistics = network[4].running_mean.clone()
    evaluate(network, Digits(0, 40))
    assert (network.training, network[1].training, network[4].training) == (True, False, True)
    assert torch.equal(network[4].running_mean, statistics)


def test_the_mode_is_restored_after_a_failure_too() -> None:
    network = small_net(classes=5).train()
    with pytest.raises(UsageError, match="labels from 0 to 9, but the network has 5 classes"):
        evaluate(network, Digits(0, 100))
    assert network.training


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(UsageError, match="no images"):
        evaluate(small_net(), Digits(0, 0))
    with pytest.raises(UsageError, match="no images"):
        predict_logits(small_net(), Digits(0, 0))


def test_wilson_interval_as_published() -> None:
    """Newcombe, Statistics in Medicine 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    for right, count, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson_interval(right, count) == pytest.approx((low, high), abs=5e-5)


@given(count=st.integers(1, 10_000), data=st.data())
def test_wilson_interval_holds_the_share(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count))
    low, high = wilson_interval(right, count)
    assert 0 <= low <= right / count + 1e-12
    assert right / count - 1e-12 <= high <= 1
