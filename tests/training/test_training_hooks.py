"""What networks ask of their training: condensation, group lasso, scheduled drop-path, an auxiliary head."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pocketcnn.models as zoo
from pocketcnn.errors import Interrupted, UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import (
    DropPath,
    LearnedGroupLayer,
    Regularized,
    Reparameterizable,
    Scheduled,
    group_lasso,
    reparameterize,
    set_progress,
)
from pocketcnn.models.nasnet import AUXILIARY_WEIGHT, NASNet, Plan
from pocketcnn.training import distil, train
from pocketcnn.training.hooks import TrainingHooks
from pocketcnn.training.objective import Objective
from tests.support.training import QUICK, CtrlC, Digits, course, same_weights, small_net

TRAIN, FEW, VAL = Digits(0, 161), Digits(0, 64), Digits(161, 240)  # 5 and 2 steps of 32 images an epoch
IMAGES = torch.stack([VAL[index][0] for index in range(32)])


def condensenet(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return zoo.create("condensenet_86", depth=14, classes=10, in_channels=1, learn_groups=True)


def nasnet(seed: int = 0) -> NASNet:
    torch.manual_seed(seed)
    plan = Plan(stem=8, filters=8, cells=3, skips_reduction_input=False, auxiliary_map=2)
    return NASNet(plan, classes=10, in_channels=1, dropout=0.1, drop_path=0.4, auxiliary_head=True)


class Listener(nn.Sequential, Scheduled, Regularized):
    """Remembers what it is told, changes its form at the end of the second epoch, and adds 1 to the loss."""

    told: tuple[float, ...] = ()

    def set_progress(self, progress: float) -> None:
        self.told = (*self.told, progress)

    @property
    def is_final(self) -> bool:
        return self.told[-1] >= 2 / 3

    def penalty(self) -> Tensor:
        return self[0].weight.new_ones(())


def test_progress_is_the_share_of_the_steps_that_are_done_before_each_and_at_each_validation() -> None:
    network = Listener(*small_net())
    train(network, TRAIN, VAL, QUICK)
    validated = [5, 10, 15]
    steps = sorted([*range(15), *validated])
    assert network.told == tuple(step / 15 for step in steps)


def test_penalties_are_part_of_the_loss_and_change_no_other_network() -> None:
    plain = train(small_net(), TRAIN, VAL, QUICK)
    for mine, theirs in zip(train(Listener(*small_net()), TRAIN, VAL, QUICK).history, plain.history, strict=True):
        assert mine.loss == pytest.approx(theirs.loss + 1, abs=1e-5)
        assert mine.val_accuracy == theirs.val_accuracy
    network = condensenet()
    assert TrainingHooks(network).added_to(torch.zeros(())).item() == pytest.approx(
        1e-5 * group_lasso(network).item(), rel=1e-5
    )
    assert not float(TrainingHooks(small_net()).added_to(torch.zeros(())))


def test_weights_of_a_network_before_it_has_settled_are_not_its_best() -> None:
    recipe = QUICK.with_(learning_rate=1e-9, ema_decay=0.0, warmup_epochs=0.0)
    worsening = Listener(*small_net())
    for layer in worsening:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # a cumulative average: no epoch is like the other
    result = train(worsening, TRAIN, VAL, recipe)
    assert result.best_epoch >= 2  # the first epoch ends at a third


@pytest.mark.parametrize("ema", [0.0, 0.99])
def test_a_training_condenses_and_the_converted_network_computes_the_same(ema: float) -> None:
    network = condensenet()
    result = train(network, TRAIN, VAL, QUICK.with_(ema_decay=ema))
    assert result.best_epoch >= 2  # condensed in the middle of the second epoch
    converted = reparameterize(network)
    assert not any(isinstance(part, Reparameterizable) and part is not converted for part in converted.modules())
    assert not any(isinstance(part, Scheduled | Regularized) for part in converted.modules())
    grouped = converted.features.block1[0].bottleneck.conv
    assert (grouped.groups, grouped.weight.shape[1]) == (4, 4)  # of 16 inputs
    captured = GraphNetwork(capture(converted, (1, 1, 8, 8))).eval()
    with torch.no_grad():
        expected = network.eval()(IMAGES)
        assert expected.std() > 0.1
        torch.testing.assert_close(converted.eval()(IMAGES), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(captured(IMAGES), expected, atol=1e-5, rtol=1e-5)


def test_even_a_training_of_one_step_condenses() -> None:
    network = condensenet()
    train(network, Digits(0, 32), VAL, QUICK.with_(epochs=1))
    assert reparameterize(network) is not network


def test_condensation_in_distillation() -> None:
    network = condensenet()
    distil(network, small_net(), TRAIN, VAL, QUICK.with_(epochs=2))
    assert not any(isinstance(part, Scheduled) for part in reparameterize(network).modules())


@pytest.mark.parametrize(
    ("build", "images", "after"), [(condensenet, TRAIN, 2), (condensenet, FEW, 3), (nasnet, FEW, 1)]
)
def test_it_is_resumed_to_the_bit(build, images: Digits, after: int, tmp_path: Path) -> None:
    """Before the first condensing stage, between two and, of NASNet, while the rate of drop-path grows."""
    recipe = QUICK.with_(epochs=2)
    expected = build()
    result = train(expected, images, VAL, recipe)
    with pytest.raises(Interrupted):
        train(build(), images, VAL, recipe, out=tmp_path, progress=CtrlC(after))
    again = build(seed=9)
    assert course(train(again, images, VAL, recipe, out=tmp_path, resume=True)) == course(result)
    assert same_weights(again, expected)


def test_a_training_that_was_stopped_before_is_not_converted(tmp_path: Path) -> None:
    network = condensenet()
    train(network, TRAIN, VAL, QUICK, out=tmp_path, stop_after=1)
    with pytest.raises(UsageError, match="2 of 3 condensing stages are done"):
        reparameterize(network)
    train(network, TRAIN, VAL, QUICK, out=tmp_path, resume=True)
    reparameterize(network)


def test_the_auxiliary_head_adds_its_loss_and_is_trained() -> None:
    network = nasnet().eval()
    labels = torch.arange(32) % 10
    objective = Objective(QUICK.with_(label_smoothing=0.0))
    with torch.no_grad():
        main, auxiliary = network.forward_with_auxiliary(IMAGES)
        expected = F.cross_entropy(main, labels) + AUXILIARY_WEIGHT * F.cross_entropy(auxiliary, labels)
        torch.testing.assert_close(objective(network, IMAGES, labels), expected)
    before = network.auxiliary.linear.weight.clone()
    train(network, FEW, VAL, QUICK.with_(epochs=1))
    assert not torch.equal(network.auxiliary.linear.weight, before)
    rates = {part.rate: part.present_rate for part in network.modules() if isinstance(part, DropPath)}
    assert len(rates) == 7  # it grows with depth, too: stem cells, cells and reduction cells
    assert all(present == rate for rate, present in rates.items())
    network.auxiliary = None
    assert network.auxiliary_weight == 0
    with torch.no_grad():
        torch.testing.assert_close(objective(network, IMAGES, labels), F.cross_entropy(network(IMAGES), labels))


def test_a_captured_network_asks_for_nothing() -> None:
    network = condensenet()
    set_progress(network, 0.5)
    captured = GraphNetwork(capture(network, (1, 1, 8, 8)))
    loss = torch.tensor(1.5)
    assert TrainingHooks(captured).added_to(loss) is loss
    assert TrainingHooks(captured).are_final
    assert reparameterize(captured) is captured


def test_the_inference_form_of_a_network_of_one_s_own() -> None:
    torch.manual_seed(0)
    learned = LearnedGroupLayer(8, 8, groups=2, condense_factor=2)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(learned), nn.ReLU()).eval()
    with pytest.raises(UsageError, match="condensing stages"):
        reparameterize(network)
    set_progress(network, 0.5)
    converted, images = reparameterize(network), torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(converted(images), network(images))
    assert network[1][0] is learned
    assert list(dict(converted[1][0].named_children())) == ["select", "norm", "act", "conv", "shuffle"]
