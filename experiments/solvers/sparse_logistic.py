r"""Paths of logistic regression with an l1 or elastic-net penalty to a certificate, with few passes over X.

The objective is the one of `experiments.certificates.logistic_gap`, $F(w) = \frac1n \sum_i \ell(x_i^\top w, y_i) +
\lambda (\alpha \|w\|_1 + \frac{1 - \alpha}2 \|w\|^2)$, $\alpha$ being ``l1_ratio``; there is no intercept. The
path and its screening are those of `experiments.solvers.screened`, the models `experiments.solvers.quadratic`.

*Steps* are those of the proximal Newton method: a quadratic model of the loss, the penalty as it is, is minimised,
exactly for supports of moderate size; then a search on the line to its minimum.

*Hessian.* A new one, $X_W^\top S X_W / n$ for the curvatures S, costs as much as several steps. So one serves for
several steps and lam, scaled to the sum of the present curvatures, and columns that join add rows to it. How far the
curvatures have moved apart, and how much the last step gained, say how many steps it still needs; a new one, whose
steps converge quadratically, is made where that is cheaper. The factor of the last support serves for its neighbours.

The certificate is the relative duality gap `certificates.logistic_relative_gap`, of all columns in float64.

Source: Friedman, Hastie and Tibshirani, *Regularization paths for generalized linear models via coordinate descent*
(2010), section 3; Lee, Sun and Saunders, *Proximal Newton-type methods for minimizing composite functions* (2014), for
the line search; Tibshirani et al., *Strong rules for discarding predictors in lasso-type problems* (2012), section 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.solvers.factor import Factor
from experiments.solvers.quadratic import SWEEPS, TRIES, State
from experiments.solvers.screened import (
    SHARE,
    Path,
    Screened,
    Solution,
    allowed,
    checked,
    grid,
    single,
)
from experiments.solvers.threads import gram, one_blas_thread, product
from jaxderiv.errors import InputError

WIDE = 100  # times the working set: so many columns are checked for several lam at once
EXACT = 0.1  # of the violation before a step, that minimising its model may leave
MODERATE = 256  # columns of a support, up to which a model is minimised exactly
INNER = 20  # times of sweeps and a step for one model
HALVINGS = 30  # on a line
DESCENT = 1e-4  # of the fall that the model predicts
ROUNDING = 1e-15  # of the value at w = 0
PATIENCE = 6  # steps that do not lower the certificate
STEP = 100  # times the cost of a column of the Hessian
FASTEST, SLOWEST = 1e-4, 0.8  # rates of the gap that are believed
LEAST_CURVATURE = 1e-12  # so that the Hessian stays positive where all observations are separated


def lam_max(X: Any, y: Any, l1_ratio: float = 1.0) -> float:
    r"""$\max_j |X_j^\top (y - \frac12)| / (n \alpha)$, from which on w = 0 is the solution. InputError as in
    `logistic_path`.
    """
    _, _, c = _data(X, y, l1_ratio)
    return float(np.abs(c).max()) / l1_ratio


def lam_grid(X: Any, y: Any, count: int = 50, ratio: float = 1e-2, l1_ratio: float = 1.0) -> np.ndarray:
    """So many lam from `lam_max` down to ratio times that, with equal ratios. InputError also for data whose lam_max
    is 0 (every lam has the solution 0), a count below 1 or a ratio outside of (0, 1).
    """
    return grid(lam_max(X, y, l1_ratio), count, ratio, "X'(y - 1/2)")


def logistic_elastic_net(X: Any, y: Any, lam: float, l1_ratio: float = 1.0, **how: Any) -> Solution:
    """`logistic_path` of a single lam; arguments and errors as there."""
    return single(logistic_path(X, y, [lam], l1_ratio, **how))


def logistic_path(X: Any, y: Any, lams: Any, l1_ratio: float = 1.0, tolerance: float = 1e-10, limit: int = 500) -> Path:
    """Minimise F for every lam.

    Args:
        X: (n, d), y: (n,), labels 0 and 1 or probabilities; NumPy or JAX arrays.
        lams: (m,), each above 0, in any order.
        l1_ratio: in (0, 1].
        tolerance: on the relative duality gap, above 0; 1e-14 is about what double precision gives.
        limit: of proximal Newton steps for each lam.
    Raises:
        InputError: for shapes that do not fit, numbers that are not finite or not allowed, or a working set whose Gram
            matrix has no place.
    """
    lams = np.asarray(lams, dtype=np.float64)
    allowed(lams, tolerance, limit, "logistic", "logistic_elastic_net")
    with jax.enable_x64(True), one_blas_thread():
        X, y, c = _data(X, y, l1_ratio)
        return _Search(X, y, c, l1_ratio, tolerance, limit).in_order(lams)


def _data(X: Any, y: Any, l1_ratio: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X and y in float64, and the correlations at w = 0, X'(y - 1/2) / n."""
    X, y, c = checked(X, y, l1_ratio, '"logistic", X, y, lam', 0.5)
    if not ((y >= 0) & (y <= 1)).all():
        came = y[(y < 0) | (y > 1)][0]
        raise InputError(f"a label is {came}; allowed: 0 to 1; for labels -1 and 1 write (y + 1) / 2")
    return X, y, c / len(y)


class _Point(NamedTuple):
    """w of the working set, what follows for the observations, and its correlations.

    Attributes:
        w: (m,).
        z: X_W w, (n,).
        loss: the mean.
        r: y - p, (n,), p being the probabilities.
        curvature: p (1 - p), (n,), which is kept above 0.
        c: X_W'r / n, (m,).
    """

    w: np.ndarray
    z: np.ndarray
    loss: float
    r: np.ndarray
    curvature: np.ndarray
    c: np.ndarray


class _Search(Screened):
    """The problem of the logistic loss."""

    unit = float(np.log(2.0))

    def __init__(self, X, y, *how):
        super().__init__(X, y, *how)
        self.curvature = np.full(len(y), 0.25)

    def screen(self, c, slope, before, lams, done) -> int:
        # Columns of later lam make each step dearer; what they save is products with all columns.
        several = self.X.shape[1] > WIDE * (len(self.columns) + 10)
        return super().screen(c, slope, before, lams if several else lams[: done + 1], done)

    def weighted(self, new: np.ndarray) -> np.ndarray:
        return new * (self.curvature / len(self.y))[:, None]

    def fitted(self, point: _Point | None) -> _Point:
        if point is None:
            r, z = self.y - 0.5, np.zeros(len(self.y))
            return _Point(np.zeros(len(self.columns)), z, self.unit, r, z + 0.25, self.c[self.columns])
        missing = self.columns[len(point.w) :]
        if not len(missing):
            return point
        c = point.r @ self.part[:, len(point.w) :] / len(self.y)
        return point._replace(w=np.append(point.w, np.zeros(len(missing))), c=np.append(point.c, c))

    def refitted(self, point: _Point, c: np.ndarray) -> _Point:
        return point._replace(w=np.append(point.w, np.zeros(len(c) - len(point.w))), c=c)

    def improve(self, open_, states, state, lams, steps) -> None:
        for i in open_:
            begun = self.fitted(states.get(i, state))
            states[i], taken = self.minimised(begun, lams[i], self.limit - steps[i])
            # The next one starts here, in later rounds from its own last point.
            state, steps[i] = states[i], steps[i] + taken

    def minimised(self, point: _Point, lam: float, limit: int) -> tuple[_Point, int]:
        """Steps until the working set alone has the tolerance or makes no progress; returns their number, too."""
        target, steps, since = SHARE * self.tolerance, 0, 0
        least = last = np.inf
        while True:
            move = self.direction(point, lam)
            point, steps = self.lowered(point, move, self.combined(move[None])[0], lam), steps + 1
            point = point._replace(c=point.r @ self.part / len(self.y))
            gap = self.gap(point, point.w, point.c, lam)
            since = 0 if gap < least else since + 1
            if not gap > target or since >= PATIENCE or steps >= limit:
                return point, steps
            least, last = min(least, gap), np.inf if self.renewed(point.curvature, gap / target, gap / last) else gap

    def direction(self, point: _Point, lam: float) -> np.ndarray:
        """To the minimum of the model."""
        # All in units of the ratio of the present curvatures to those of the Hessian.
        ratio = point.curvature.sum() / self.curvature.sum()
        l1, l2 = lam * self.l1_ratio / ratio, lam * (1 - self.l1_ratio) / ratio
        return self.modelled(State(point.w, point.c / ratio), l1, l2).w - point.w

    def modelled(self, state: State, l1: float, l2: float) -> State:
        """The minimum of the quadratic with the Hessian and the state's correlations, nearly."""
        m, target = len(self.columns), EXACT * _violation(state, l1, l2)
        if np.count_nonzero(state.w) <= MODERATE and (found := self.settled(state, state, l1, l2, TRIES)):
            return found[0]
        state = self.newton(state, l1, l2)
        for k in range(1, INNER + 1):
            if _violation(state, l1, l2) <= target:
                break
            state, _ = self.turn(k, state, l1, l2, 10 * m + SWEEPS + 1)
        return state

    def lowered(self, point: _Point, move: np.ndarray, image: np.ndarray, lam: float) -> _Point:
        """The first point on the line to the model's minimum, halved and less, whose value is low enough."""
        l1, l2 = lam * self.l1_ratio, lam * (1 - self.l1_ratio)

        def penalty(w: np.ndarray) -> float:
            return l1 * np.abs(w).sum() + l2 / 2 * (w @ w)

        before, step = penalty(point.w), 1.0
        fall = penalty(point.w + move) - before - point.c @ move
        for _ in range(HALVINGS):
            w, z = point.w + step * move, point.z + step * image
            loss, tail = self.loss(z)
            rise = loss - point.loss + penalty(w) - before
            if rise <= DESCENT * step * fall + ROUNDING * self.unit:
                return self.point(w, z, loss, tail, point.c)
            # The minimum of the parabola through both values, with the slope that the model has.
            step *= min(max(-step * fall / (2 * (rise - step * fall)), 0.1), 0.5)
        return point

    def loss(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss, and exp(-|z|), of which all else is made."""
        tail = np.exp(-np.abs(z))
        return float((np.log1p(tail) + np.maximum(z, 0.0) - self.y * z).mean()), tail

    def point(self, w, z, loss, tail, c) -> _Point:
        p = np.where(z >= 0, 1.0, tail) / (1 + tail)
        return _Point(w, z, loss, self.y - p, tail / (1 + tail) ** 2 + LEAST_CURVATURE, c)

    def renewed(self, curvature: np.ndarray, factor: float, seen: float) -> bool:
        """A new Hessian, if it saves more steps than it costs.

        The gap is to fall by the factor; by the last step with the present Hessian it fell to `seen` of what it was.
        """
        shares = curvature / curvature.sum(), self.curvature / self.curvature.sum()
        # What the scaled Hessian lacks is the rate of the steps, whose square is that of the gap.
        rate = min(max(np.abs(shares[0] - shares[1]).sum() ** 2, seen, FASTEST), SLOWEST)
        saved = np.log(factor) * (1 / -np.log(rate) - 1 / -np.log(FASTEST))
        m = len(self.columns)
        if saved * STEP < m:
            return False
        self.curvature = curvature
        rows = self.part * np.sqrt(self.curvature / len(curvature))[:, None]
        self.gram[:m, :m] = gram(rows)
        self.changed()
        self.factor = Factor()
        return True

    def check(self, open_, states, lams, params, gaps) -> np.ndarray:
        # Anew from w: z has the rounding errors of all steps.
        for i, z in zip(open_, self.combined(np.array([states[i].w for i in open_])), strict=True):
            states[i] = self.point(states[i].w, z, *self.loss(z), states[i].c)
        C = product(np.array([states[i].r for i in open_]), self.X) / len(self.y)
        for k, i in enumerate(open_):
            params[i] = 0.0
            params[i][self.columns] = states[i].w
            gaps[i] = self.gap(states[i], params[i], C[k], lams[i])
        return C

    def gap_at_zero(self, lam: float) -> float:
        return self.gap(self.fitted(None), np.zeros(len(self.c)), self.c, lam)

    def gap(self, point: _Point, w: np.ndarray, c: np.ndarray, lam: float) -> float:
        """`certificates.logistic_relative_gap` from c = X'r / n, whose comments say why."""
        l1, l2 = lam * self.l1_ratio, lam * (1 - self.l1_ratio)
        highest = np.abs(c).max(initial=0.0)
        p = self.y - (min(1.0, l1 / highest) if highest > 0 else 1.0) * point.r
        q, tiny = 1 - p, np.finfo(float).tiny
        entropy = np.mean(p * np.log(np.maximum(p, tiny)) + q * np.log(np.maximum(q, tiny)))
        gap = point.loss + l2 / 2 * (w @ w) + l1 * np.abs(w).sum() + entropy
        if l2 > 0:
            taken = np.clip(c, -l1, l1)
            gap = min(gap, np.sum((c - taken - l2 * w) ** 2 / (2 * l2) + l1 * np.abs(w) - taken * w))
        return max(float(gap), 0.0) / self.unit if np.isfinite(gap) else float("nan")


def _violation(state: State, l1: float, l2: float) -> float:
    """Of the conditions of optimality, the largest."""
    w, c = state
    rest = np.where(w == 0, np.maximum(np.abs(c) - l1, 0.0), np.abs(c - l2 * w - l1 * np.sign(w)))
    return float(rest.max(initial=0.0))
