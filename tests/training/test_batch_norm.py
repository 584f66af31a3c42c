import pytest
import torch
from torch import nn

from pocketcnn.training import evaluate, recalibrate, train
from pocketcnn.training.batch_norm import StatisticsWarmup, warmed_statistics
from tests.support.training import QUICK, Digits, small_net


def slow_net() -> nn.Sequential:
    """The small net with the statistics of MobileNetV2: decay 0.997."""
    network = small_net()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.003
    return network


@pytest.mark.parametrize("ema_decay", [0.0, 0.999])
def test_slow_statistics_do_not_spoil_a_short_training(ema_decay: float) -> None:
    network = slow_net()
    result = train(network, Digits(0, 600), Digits(600, 800), QUICK.with_(epochs=5, ema_decay=ema_decay))
    assert result.val_accuracy > 0.8
    assert [network[1].momentum, network[4].momentum] == [0.003, 0.003]


def test_the_momentum_falls_to_its_own() -> None:
    network = slow_net()
    network[4].momentum, network[1].momentum = 0.1, None
    with warmed_statistics(network) as statistics:
        seen = []
        for step in (0, 10, 80, 10_000):
            statistics.set_for(step)
            seen.append(network[4].momentum)
        assert seen == pytest.approx([0.9, 0.45, 0.1, 0.1])
        assert network[1].momentum is None  # a cumulative average
        network[4].momentum = 0.5
    assert network[4].momentum == 0.1


def test_a_constant_input_gives_its_own_statistics() -> None:
    """The weighted mean of equal batches is that batch, once the start's weight is gone."""
    norm = nn.BatchNorm2d(1, momentum=0.003)
    statistics = StatisticsWarmup(norm)
    images = torch.randn(16, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 7
    for step in range(30):
        statistics.set_for(step)
        norm(images)
    assert norm.running_mean.item() == pytest.approx(images.mean().item(), rel=1e-5)
    assert norm.running_var.item() == pytest.approx(images.var().item(), rel=1e-5)


def test_recalibration_gives_the_average_of_the_batches_and_touches_nothing_else() -> None:
    network = slow_net().train()
    weights = [parameter.clone() for parameter in network.parameters()]
    images = Digits(0, 260).images
    recalibrate(network, images, batch_size=64)
    assert network.training
    assert network[1].momentum == 0.003
    assert all(torch.equal(new, old) for new, old in zip(network.parameters(), weights, strict=True))
    maps = torch.cat([network[0](batch).detach() for batch in torch.split(images[:256], 64)])
    torch.testing.assert_close(network[1].running_mean, maps.mean((0, 2, 3)))


def test_recalibration_brings_a_network_back_whose_inputs_have_changed() -> None:
    network = small_net()
    train(network, Digits(0, 600), Digits(600, 800), QUICK.with_(epochs=5))
    good = evaluate(network, Digits(600, 800)).top1
    with torch.no_grad():
        network[0].weight *= 3  # the first batch norm would take it out, if it knew
        network[1].running_mean += 2
    spoilt = evaluate(network, Digits(600, 800)).top1
    recalibrate(network, Digits(0, 600).images)
    back = evaluate(network, Digits(600, 800)).top1
    assert spoilt < good - 0.2
    assert back > good - 0.03
