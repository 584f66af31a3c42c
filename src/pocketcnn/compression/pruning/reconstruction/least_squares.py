"""Least squares from accumulated moments, with a ridge towards the current weights where samples are too few."""

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGES = (1e-8, 1e-5, 1e-3, 1e-1)
"""Ridge strengths that are tried, relative to the mean square of an input."""


@dataclass
class Moments:
    """Sums over samples of inputs x (D,) and outputs y (R,), for G independent problems, in double precision."""

    xx: Tensor  # (G, D, D)
    xy: Tensor  # (G, D, R)
    yy: Tensor  # (G, R)
    x: Tensor  # (G, D)
    y: Tensor  # (G, R)
    count: int = 0

    @classmethod
    def empty(cls, groups: int, inputs: int, answers: int) -> "Moments":
        """Moments of no samples."""
        shapes = ((inputs, inputs), (inputs, answers), (answers,), (inputs,), (answers,))
        xx, xy, yy, x, y = (torch.zeros(groups, *shape, dtype=torch.float64) for shape in shapes)
        return cls(xx, xy, yy, x, y)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add samples x (S, G, D) and y (S, G, R)."""
        x, y = x.double().transpose(0, 1), y.double().transpose(0, 1)
        self.xx += x.mT @ x
        self.xy += x.mT @ y
        self.yy += y.square().sum(1)
        self.x += x.sum(1)
        self.y += y.sum(1)
        self.count += x.shape[1]

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.xx + other.xx,
            self.xy + other.xy,
            self.yy + other.yy,
            self.x + other.x,
            self.y + other.y,
            self.count + other.count,
        )

    def residual(self, weight: Tensor) -> "Moments":
        """The moments for outputs y - weight · x, for weights (G, R, D)."""
        xy = self.xy - self.xx @ weight.mT
        yy = self.yy - ((self.xy + xy) * weight.mT).sum(1)
        return Moments(self.xx, xy, yy, self.x, self.y - (weight @ self.x[:, :, None])[:, :, 0], self.count)

    def centred(self) -> "Moments":
        """The moments with the means of x and y removed: what remains after an intercept is fitted."""
        n = max(1, self.count)
        return Moments(
            self.xx - self.x[:, :, None] * self.x[:, None] / n,
            self.xy - self.x[:, :, None] * self.y[:, None] / n,
            self.yy - self.y.square() / n,
            torch.zeros_like(self.x),
            torch.zeros_like(self.y),
            self.count,
        )


@dataclass(frozen=True)
class Fit:
    """Weights (G, R, D), an intercept (G, R), and the chosen `ridge`; None if nothing improved on the old weights."""

    weight: Tensor
    intercept: Tensor
    ridge: float | None


def fitted(seen: Moments, held_out: Moments, weight: Tensor, *, intercept: bool) -> Fit:
    """The best weights by ridge regression, starting from `weight` (G, R, D).

    Only a correction is fitted, so weights stay unchanged where samples say nothing. The held-out samples choose the ridge
    strength, and whether a correction is made at all.

    Args:
        seen: moments of the samples to fit.
        held_out: moments of the validation samples.
        weight: the current weights.
        intercept: whether a constant may be added.
    """
    transform = Moments.centred if intercept else _uncentred
    start, validation = transform(seen.residual(weight)), transform(held_out.residual(weight))
    best, chosen = float(validation.yy.sum()), None
    for ridge in RIDGES:
        if (error := float(validation.residual(_correction(start, ridge)).yy.sum())) < best:
            best, chosen = error, ridge
    both = seen + held_out
    if chosen is not None:
        weight = weight + _correction(transform(both.residual(weight)), chosen)
    rest = both.residual(weight).y / max(1, both.count)
    return Fit(weight, rest if intercept else torch.zeros_like(rest), chosen)


def _uncentred(moments: Moments) -> Moments:
    return moments


def _correction(moments: Moments, ridge: float) -> Tensor:
    """The correction (G, R, D) by ridge regression."""
    diagonal = moments.xx.diagonal(dim1=1, dim2=2)
    strength = ridge * diagonal.mean(1).clamp_min(1e-30)
    factor, failed = torch.linalg.cholesky_ex(moments.xx + torch.diag_embed(strength[:, None].expand_as(diagonal)))
    if bool(failed.any()):  # numerically singular: this ridge is too weak
        return torch.zeros_like(moments.xy.mT)
    return torch.cholesky_solve(moments.xy, factor).mT
