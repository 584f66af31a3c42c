"""Learned step sizes: the gradient of the paper, and a network that trains with it and is frozen into formats."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

import pocketcnn as pc
from pocketcnn.compression.quantization import LearnedSteps, QuantizeSettings, quantize
from pocketcnn.compression.quantization.learned_steps import store_in_steps
from pocketcnn.errors import UsageError
from pocketcnn.layers import inference_form
from pocketcnn.training import Recipe, distil
from tests.support.quantized import answers, decibels, noise, settled


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
    frozen = learner.inference_form()
    assert frozen.numerics == quantized.numerics
    assert torch.allclose(answers(frozen, images), exact, atol=1e-5)


def test_values_that_were_only_moved_keep_the_step_of_their_source() -> None:
    learner = LearnedSteps(quantize(settled("shufflenet_v1"), noise(8)))
    with torch.no_grad():
        learner.activation_steps.mul_(1.25)
    formats = learner.inference_form().numerics.activations
    graph = learner.inference_form().graph
    moved = [node for node in graph.nodes if node.op == "channel_shuffle"]
    assert moved
    assert all(formats[node.name] == formats[node.inputs[0]] for node in moved)


def test_training_learns_steps_and_brings_a_coarse_network_nearer_to_its_teacher(tmp_path: Path) -> None:
    teacher, images = settled("mobilenet_v1"), noise(64)
    labels = answers(teacher, images).argmax(1)
    coarse = quantize(
        teacher, images, settings=QuantizeSettings(weight_bits=3, activation_bits=4, bias_correction=False)
    )
    learner = LearnedSteps(coarse)
    begin = [parameter.detach().clone() for parameter in (learner.activation_steps, *learner.weight_steps)]
    recipe = Recipe(
        epochs=3,
        batch_size=16,
        learning_rate=0.01,
        weight_decay=0.0,
        ema_decay=0.0,
        distillation_weight=1.0,
        warmup_epochs=0,
    )
    train_set = TensorDataset(images, labels)
    distil(learner, teacher, train_set, train_set, recipe)
    after = (learner.activation_steps, *learner.weight_steps)
    moved = [not torch.equal(old, new) for old, new in zip(begin, after, strict=True)]
    assert all(moved[len(moved) // 2 :]), "where gradients arrive, in a network that has never been trained"
    frozen = inference_form(learner)
    exact = answers(teacher, images)
    assert decibels(exact, answers(frozen, images)) > decibels(exact, answers(coarse, images)) + 1
    loaded = pc.load(pc.save(tmp_path / "learned.safetensors", frozen))
    assert torch.allclose(answers(loaded, images), answers(frozen, images), atol=1e-5)
    assert loaded.numerics == frozen.numerics


def test_a_step_stays_positive_whatever_the_optimizer_does() -> None:
    learner = LearnedSteps(quantize(settled("mobilenet_v1"), noise(8)))
    with torch.no_grad():
        for parameter in (learner.activation_steps, *learner.weight_steps):
            parameter.fill_(-1.0)
    frozen = learner.inference_form()
    assert all(form.scale > 0 for form in frozen.numerics.activations.values())
    assert all(bool((frozen.graph.tensors[form.scale] > 0).all()) for form in frozen.numerics.weights.values())
    assert torch.isfinite(answers(frozen, noise(2))).all()


def test_a_float_network_has_no_steps() -> None:
    with pytest.raises(UsageError, match="no steps to learn"):
        LearnedSteps(settled())
