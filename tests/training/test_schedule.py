import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.training.optimizer import WarmupCosine, build_schedule


@given(total=st.integers(2, 500), data=st.data())
def test_it_rises_to_the_full_rate_and_falls_to_nothing(total: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, total - 1))
    factors = [WarmupCosine(warmup, total)(step) for step in range(total + 1)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[warmup] == 1.0
    assert factors[total] == pytest.approx(0, abs=1e-12)
    assert factors[0] > 0


def test_halfway_through_the_cosine_it_is_half() -> None:
    assert WarmupCosine(10, 110)(60) == pytest.approx(0.5)
    assert WarmupCosine(10, 110)(4) == pytest.approx(0.5)


def test_a_fractional_warm_up_is_counted_in_steps() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.4)
    schedule = build_schedule(optimizer, epochs=4, warmup_epochs=0.5, steps_per_epoch=8)
    rates = []
    for _ in range(32):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[18] == pytest.approx(0.2)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)
