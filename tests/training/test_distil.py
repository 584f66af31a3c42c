import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.training import distil, evaluate, predict_logits, train
from pocketcnn.training.distil import distillation_loss
from pocketcnn.training.distiller import Distiller
from pocketcnn.training.objective import Objective
from tests.support.training import QUICK, Digits, small_net


def test_the_loss_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    student, teacher, temperature = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), 3.0

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x / temperature)
        return e / e.sum(1, keepdims=True)

    p, q = softmax(teacher), softmax(student)
    expected = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    found = distillation_loss(torch.tensor(student), torch.tensor(teacher), temperature)
    assert float(found) == pytest.approx(expected)


def test_the_gradient_keeps_its_size_over_the_temperature() -> None:
    """For large T the gradient tends to (student - teacher) / classes (Hinton et al., equation 4), whatever T is."""
    teacher = torch.tensor([[1.0, -1.0, 0.0]])
    for temperature in (50.0, 200.0):
        student = torch.tensor([[0.0, 2.0, -2.0]], requires_grad=True)
        distillation_loss(student, teacher, temperature).backward()
        expected = (student.detach() - teacher) / 3
        torch.testing.assert_close(student.grad, expected, rtol=0.05, atol=0.01)


def test_the_weight_divides_between_teacher_and_labels() -> None:
    images, labels = torch.randn(6, 1, 8, 8), torch.arange(6)
    student, teacher = small_net(0).eval(), small_net(1).eval()
    recipe = QUICK.with_(distillation_weight=0.25, distillation_temperature=2.0, label_smoothing=0.0)
    found = Objective(recipe, distiller=Distiller(recipe, [teacher]))(student, images, labels)
    soft = distillation_loss(student(images), teacher(images), 2.0)
    expected = 0.25 * soft + 0.75 * F.cross_entropy(student(images), labels)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


class WrongLabels(Digits):
    """The right images, each with the label of another class."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = super().__getitem__(index)
        return image, (label + 1) % 10


def test_a_student_comes_to_agree_with_its_teacher() -> None:
    """All labels it trains on are wrong and have no weight: what it gets right it has from the teacher."""
    train_set, val_set = Digits(0, 600), Digits(600, 900)
    teacher = small_net(7)
    train(teacher, train_set, val_set, QUICK.with_(epochs=8))
    teacher.train()
    target = predict_logits(teacher, val_set)

    student = small_net(8)
    before = distillation_loss(predict_logits(student, val_set), target, 4.0)
    recipe = QUICK.with_(epochs=14, distillation_weight=1.0)
    result = distil(student, teacher, WrongLabels(0, 600), val_set, recipe)
    after = distillation_loss(predict_logits(student, val_set), target, 4.0)
    assert after < 0.25 * before
    assert result.history[-1].loss < 0.5 * result.history[0].loss
    assert evaluate(student, val_set).top1 > 0.8
    assert teacher.training  # as it came


def test_a_teacher_of_other_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="teacher has 7 classes and the network has 10"):
        distil(small_net(), small_net(classes=7), Digits(0, 64), Digits(64, 96), QUICK)
