"""Learned step sizes: the gradient of the paper, and a network that trains with it and is frozen into formats."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

import pocketcnn as pc
from pocketcnn.compression.quantization import LearnedSteps, QuantizeSettings, quantize
from pocketcnn.compression.quantization.learned_steps import store_in_steps
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.layers import reparameterize
from pocketcnn.training import Recipe, distil
from tests.support.quantized import answers, decibels, noise, random_network, settled
from tests.support.seeds import lower_bound


def test_the_gradient_of_a_step_is_that_of_the_paper() -> None:
    """Equation 3: -v/s + round(v/s) inside, -Q_N or Q_P outside; times 1 / sqrt(N Q_P)."""
    value = torch.tensor([-9.0, -0.8, 0.3, 0.7, 1.2, 5.0], dtype=torch.float64, requires_grad=True)
    step = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    stored = store_in_steps(value, step, -4, 3, 6)
    assert stored.tolist() == [-2.0, -1.0, 0.5, 0.5, 1.0, 1.5]
    pull = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], dtype=torch.float64)
    (stored * pull).sum().backward()
    slopes = torch.tensor([-4, -2 + 1.6, 1 - 0.6, 1 - 1.4, 2 - 2.4, 3], dtype=torch.float64)
    assert step.grad is not None
    assert float(step.grad) == pytest.approx(float((slopes * pull).sum()) / (6 * 4) ** 0.5)
    assert value.grad is not None
    assert value.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 0.0]


def test_steps_of_channels_have_gradients_of_their_own() -> None:
    value = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    step = torch.full((3, 1, 1, 1), 0.1, requires_grad=True)
    store_in_steps(value, step, -7, 7, 16)[1].sum().backward()
    assert step.grad is not None
    assert (step.grad.flatten() != 0).tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "shufflenet_v1"])
def test_before_training_it_is_the_quantized_network(name: str) -> None:
    quantized = quantize(settled(name), noise(16))
    learner = LearnedSteps(quantized)
    images = noise(8, seed=3)
    exact = answers(quantized, images)
    assert decibels(exact, answers(learner, images)) > 25, "float sums round differently now and then"
    frozen = learner.reparameterize()
    assert frozen.numerics == quantized.numerics
    assert torch.allclose(answers(frozen, images), exact, atol=1e-5)


def test_values_that_were_only_moved_keep_the_step_of_their_source() -> None:
    learner = LearnedSteps(quantize(settled("shufflenet_v1"), noise(8)))
    with torch.no_grad():
        learner.activation_steps.mul_(1.25)
    formats = learner.reparameterize().numerics.activations
    graph = learner.reparameterize().graph
    moved = [node for node in graph.nodes if node.op == "channel_shuffle"]
    assert moved
    assert all(formats[node.name] == formats[node.inputs[0]] for node in moved)


TRAINING = Recipe(
    epochs=4,
    batch_size=16,
    optimizer="sgd",
    learning_rate=0.3,
    weight_decay=0.0,
    ema_decay=0.0,
    distillation_weight=1.0,
    warmup_epochs=0,
)


def trained(seed: int) -> tuple[GraphNetwork, GraphNetwork, LearnedSteps]:
    """A float network, its coarse integers, and these after a training with the first as the teacher."""
    teacher, images = random_network(seed), noise(64, seed=100 + seed)
    plan = QuantizeSettings(weight_bits=3, activation_bits=4, bias_correction=False)
    coarse = quantize(teacher, images, settings=plan)
    learner = LearnedSteps(coarse)
    train_set = TensorDataset(images, answers(teacher, images).argmax(1))
    distil(learner, teacher, train_set, train_set, TRAINING)
    return teacher, coarse, learner


def test_training_brings_coarse_networks_nearer_to_their_teachers() -> None:
    """On images that were not trained on, over networks and images drawn anew."""

    def gain(seed: int) -> float:
        teacher, coarse, learner = trained(seed)
        images = noise(64, seed=200 + seed)
        exact = answers(teacher, images)
        return decibels(exact, answers(reparameterize(learner), images)) - decibels(exact, answers(coarse, images))

    assert lower_bound([gain(seed) for seed in range(8)]) > 1


def test_steps_are_learned_and_kept_in_the_file(tmp_path: Path) -> None:
    _, coarse, learner = trained(0)
    begin = LearnedSteps(coarse)
    steps = [(each.activation_steps, *each.weight_steps) for each in (begin, learner)]
    assert not any(torch.equal(old, new) for old, new in zip(*steps, strict=True))
    frozen, images = reparameterize(learner), noise(16)
    loaded = pc.load(pc.save(tmp_path / "learned.safetensors", frozen))
    assert torch.allclose(answers(loaded, images), answers(frozen, images), atol=1e-5)
    assert loaded.numerics == frozen.numerics


def test_a_step_stays_positive_whatever_the_optimizer_does() -> None:
    learner = LearnedSteps(quantize(settled("mobilenet_v1"), noise(8)))
    with torch.no_grad():
        for parameter in (learner.activation_steps, *learner.weight_steps):
            parameter.fill_(-1.0)
    frozen = learner.reparameterize()
    assert all(form.scale > 0 for form in frozen.numerics.activations.values())
    assert all(bool((frozen.graph.tensors[form.scale] > 0).all()) for form in frozen.numerics.weights.values())
    assert torch.isfinite(answers(frozen, noise(2))).all()


def test_a_float_network_has_no_steps() -> None:
    with pytest.raises(UsageError, match="no quantization steps to learn"):
        LearnedSteps(settled())
