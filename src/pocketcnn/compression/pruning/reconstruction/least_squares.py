"""Least squares from sums: the weights that come nearest to given answers, held back where the samples are too few."""

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGES = (1e-8, 1e-5, 1e-3, 1e-1)
"""Strengths of the pull towards the present weights that are tried, in units of the mean square of an input."""


@dataclass
class Moments:
    """Sums over samples of inputs x (D,) and answers y (R,), for G independent problems at once, in double precision."""

    xx: Tensor  # (G, D, D)
    xy: Tensor  # (G, D, R)
    yy: Tensor  # (G, R)
    x: Tensor  # (G, D)
    y: Tensor  # (G, R)
    count: int = 0

    @classmethod
    def empty(cls, groups: int, inputs: int, answers: int) -> "Moments":
        """Of no samples."""
        shapes = ((inputs, inputs), (inputs, answers), (answers,), (inputs,), (answers,))
        xx, xy, yy, x, y = (torch.zeros(groups, *shape, dtype=torch.float64) for shape in shapes)
        return cls(xx, xy, yy, x, y)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Samples x (S, G, D) and y (S, G, R)."""
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
        """The same with answers y - weight · x, for weights (G, R, D)."""
        xy = self.xy - self.xx @ weight.mT
        yy = self.yy - ((self.xy + xy) * weight.mT).sum(1)
        return Moments(self.xx, xy, yy, self.x, self.y - (weight @ self.x[:, :, None])[:, :, 0], self.count)

    def centred(self) -> "Moments":
        """The same with the means of x and y taken away: what an intercept takes care of."""
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
    """Weights (G, R, D) and an intercept (G, R); `ridge` is the pull that was chosen, None where nothing beat the old weights."""

    weight: Tensor
    intercept: Tensor
    ridge: float | None


def fitted(seen: Moments, held_out: Moments, weight: Tensor, *, intercept: bool) -> Fit:
    """The weights that answer best, beginning with `weight` (G, R, D).

    The correction is found by ridge regression, so that where samples tell nothing the weights stay. How strong the ridge
    must be is judged by the samples held out, and so is whether any correction helps at all.
    """
    form = Moments.centred if intercept else _as_they_are
    start, judge = form(seen.residual(weight)), form(held_out.residual(weight))
    best, chosen = float(judge.yy.sum()), None
    for ridge in RIDGES:
        if (error := float(judge.residual(_correction(start, ridge)).yy.sum())) < best:
            best, chosen = error, ridge
    both = seen + held_out
    if chosen is not None:
        weight = weight + _correction(form(both.residual(weight)), chosen)
    rest = both.residual(weight).y / max(1, both.count)
    return Fit(weight, rest if intercept else torch.zeros_like(rest), chosen)


def _as_they_are(moments: Moments) -> Moments:
    return moments


def _correction(moments: Moments, ridge: float) -> Tensor:
    """Weights (G, R, D) of ridge regression."""
    diagonal = moments.xx.diagonal(dim1=1, dim2=2)
    pull = ridge * diagonal.mean(1).clamp_min(1e-30)
    factor, failed = torch.linalg.cholesky_ex(moments.xx + torch.diag_embed(pull[:, None].expand_as(diagonal)))
    if bool(failed.any()):  # numerically singular: this ridge is too weak
        return torch.zeros_like(moments.xy.mT)
    return torch.cholesky_solve(moments.xy, factor).mT
