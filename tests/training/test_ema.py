import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from pocketcnn.training.ema import NetworkAverage, decay_at
from tests.support.training import small_net


def wander(network: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator))
            else:
                tensor.add_(1)


def test_it_is_the_exponential_average_of_weights_and_statistics() -> None:
    network = small_net()
    average = NetworkAverage(network, decay=0.9)
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    for update in range(30):
        wander(network, generator)
        average.update_parameters(network)
        decay = min(0.9, (1 + update) / (10 + update))
        for name, now in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * now if now.is_floating_point() else now.clone()
    for name, tensor in average.module.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], msg=name)


def test_without_warm_up_it_is_torchs_own_average() -> None:
    """After its warm-up the average must move as torch's `AveragedModel` does."""
    network = small_net()
    average = NetworkAverage(network, decay=0.0)
    reference = AveragedModel(network, avg_fn=lambda _mean, now, _: now, use_buffers=True)
    wander(network, torch.Generator().manual_seed(1))
    average.update_parameters(network)
    reference.update_parameters(network)
    for mine, theirs in zip(average.module.parameters(), reference.module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_decay_warms_up() -> None:
    assert decay_at(0, 0.999) == 0.1
    assert decay_at(90, 0.999) == 0.91
    assert decay_at(10**6, 0.999) == 0.999


def test_it_follows_batch_norm_statistics_of_a_real_forward() -> None:
    network = small_net().train()
    average = NetworkAverage(network, decay=0.5)
    network(torch.randn(8, 1, 8, 8))
    average.update_parameters(network)
    assert not torch.equal(average.module[1].running_mean, torch.zeros(8))
    assert average.module[1].num_batches_tracked == 1
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
