r"""Paths of the lasso and of the elastic net to a certificate, with few passes over X.

The objective is the one of `experiments.certificates`, $P(w) = \frac12 \|y - Xw\|^2 + \lambda (\alpha \|w\|_1 +
\frac{1 - \alpha}2 \|w\|^2)$, $\alpha$ being ``l1_ratio``. It is minimised in terms of the Gram matrix alone, as
`experiments.solvers.quadratic` says, along the path of `experiments.solvers.screened`: the line through the last two
solutions predicts the signs of the next one, and is the lasso's path for as long as none changes. Few columns are all
in the working set from the start, and a column has its row of the Gram matrix, of all columns, when it first violates
the conditions of optimality or is expected to.

The certificate is the relative duality gap `certificates.elastic_net_relative_gap`, of all columns in float64. Where
all are in the working set it is computed from the Gram matrix and a bound on its rounding errors added, if that is
within the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log
from typing import Any

import jax
import numpy as np

from experiments.solvers.quadratic import TRIES, State
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

ALL = 1000  # columns that are all in the working set: rows of their Gram matrix are cheaper than checks of the others
FIRST = 12  # rows of it that are computed at least: nearly as fast as one
DENSE = 0.15  # part of its rows, from which on all are computed at once: by symmetry at half the price
PATIENCE = 10  # times of sweeps and a step that do not lower the certificate


def lam_max(X: Any, y: Any, l1_ratio: float = 1.0) -> float:
    r"""$\max_j |X_j^\top y| / \alpha$, from which on w = 0 is the solution. InputError as in `elastic_net_path`."""
    X, y, c = checked(X, y, l1_ratio)
    return float(np.abs(c).max()) / l1_ratio


def lam_grid(X: Any, y: Any, count: int = 50, ratio: float = 1e-3, l1_ratio: float = 1.0) -> np.ndarray:
    """So many lam from `lam_max` down to ratio times that, with equal ratios. InputError also for data whose lam_max
    is 0 (every lam has the solution 0), a count below 1 or a ratio outside of (0, 1).
    """
    return grid(lam_max(X, y, l1_ratio), count, ratio, "X'y")


def elastic_net(X: Any, y: Any, lam: float, l1_ratio: float = 1.0, **how: Any) -> Solution:
    """`elastic_net_path` of a single lam; arguments and errors as there."""
    return single(elastic_net_path(X, y, [lam], l1_ratio, **how))


def elastic_net_path(
    X: Any, y: Any, lams: Any, l1_ratio: float = 1.0, tolerance: float = 1e-10, limit: int = 10_000
) -> Path:
    """Minimise P for every lam.

    Args:
        X: (n, d), y: (n,); NumPy or JAX arrays. Columns in sequence in memory (order "F") are read faster.
        lams: (m,), each above 0, in any order.
        l1_ratio: in (0, 1].
        tolerance: on the relative duality gap, above 0; 1e-14 is about what double precision gives.
        limit: of steps for each lam.
    Raises:
        InputError: for shapes that do not fit, numbers that are not finite or not allowed.
    """
    lams = np.asarray(lams, dtype=np.float64)
    allowed(lams, tolerance, limit)
    with jax.enable_x64(True), one_blas_thread():
        X, y, c = checked(X, y, l1_ratio)
        return _Search(X, y, c, l1_ratio, tolerance, limit).in_order(lams)


class _Search(Screened):
    """The problem of least squares."""

    def __init__(self, X, y, *how):
        super().__init__(X, y, *how)
        self.unit = self.square = float(y @ y)
        if X.shape[1] <= ALL:
            self.room = X
            self.enter(np.arange(X.shape[1]))
        self.filled = np.zeros(len(self.columns), bool)
        self.done = 1.0  # of the path that is done, on the scale of log lam
        self.trail: list[tuple[float, State]] = []  # the last lam but one, and its solution

    def known(self, columns: np.ndarray, c: np.ndarray) -> None:
        """Make rows of the Gram matrix for these columns, and for some with the largest correlations c, which may be
        next.
        """
        if not len(self.filled) or self.filled[columns].all():
            return
        missing, needed, d = np.flatnonzero(~self.filled), columns[~self.filled[columns]], len(self.filled)
        # The support grows about in proportion to -log lam.
        expected = int(len(columns) / self.done) if len(columns) > FIRST else 0
        filled = d - len(missing)
        count = min(max(len(needed), FIRST, (expected - filled) // 2), len(missing))
        if max(filled + count, expected) >= DENSE * d:
            self.gram[:d, :d] = gram(self.X)
            self.filled[:] = True
        else:
            urgency = np.abs(c)
            urgency[needed] = np.inf
            new = missing[np.argpartition(-urgency[missing], count - 1)[:count]]
            rows = product(self.X[:, new].T, self.X)
            self.gram[new, :d], self.gram[:d, new] = rows, rows.T
            self.filled[new] = True
        self.changed()

    def fitted(self, state: State | None) -> State:
        b = self.c[self.columns]
        if state is None:
            return State(np.zeros(len(b)), b)
        missing = len(b) - len(state.w)
        if not missing:
            return state
        w = np.append(state.w, np.zeros(missing))
        return State(w, b - self.gram[: len(b), : len(b)] @ w)

    def refitted(self, state: State, c: np.ndarray) -> State:
        return State(np.append(state.w, np.zeros(len(c) - len(state.w))), c)

    def check(self, open_, states, lams, params, gaps) -> np.ndarray:
        W, C = np.array([states[i].w for i in open_]), np.empty((len(open_), len(self.c)))
        params[open_] = 0.0
        params[np.ix_(open_, self.columns)] = W
        rest = np.array(open_)
        if self.inside.all():
            C[:, self.columns], found = self.judged(W, lams[open_])
            gaps[open_] = found + self.rounding(W)
            rest = rest[~(gaps[open_] <= self.tolerance)]
        if len(rest):
            chosen = np.isin(open_, rest)
            residual = self.y - self.combined(W[chosen])
            C[chosen] = product(residual, self.X)
            squares = (residual**2).sum(axis=1)
            gaps[rest] = self.gaps(params[rest], C[chosen], squares, residual @ self.y, lams[rest])
        return C

    def judged(self, W: np.ndarray, lams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Correlations and gaps, from the Gram matrix."""
        b = self.c[self.columns]
        C = b - W @ self.gram[: len(b), : len(b)]
        of_fit = self.square - W @ b
        return C, self.gaps(W, C, of_fit - np.einsum("ij,ij->i", W, C), of_fit, lams)

    def rounding(self, W: np.ndarray) -> np.ndarray:
        """How far relative gaps from the Gram matrix are from those of the data, at most, for each w.

        Inner products of n numbers are off by about the root of n times the unit of rounding, in parts of the product
        of lengths (Higham and Mary, *A new approach to probabilistic rounding error analysis*, 2019).
        """
        if self.square == 0:
            return np.full(len(W), np.inf)
        lengths = np.sqrt(np.diagonal(self.gram)[: len(self.columns)])
        total = np.sqrt(self.square) + np.abs(W) @ lengths
        return 8 * np.sqrt(sum(self.X.shape)) * np.finfo(float).eps * total**2 / self.square

    def gap_at_zero(self, lam: float) -> float:
        return self.gap(np.zeros(len(self.c)), self.c, self.square, self.square, lam)

    def gap(self, w, c, square, product, lam) -> float:
        return float(self.gaps(w[None], c[None], np.array([square]), np.array([product]), np.array([lam]))[0])

    def gaps(self, W, C, squares, products, lams) -> np.ndarray:
        """`certificates.elastic_net_relative_gap` of several lam, from X'r, r'r and y'r of each."""
        l1, l2 = lams * self.l1_ratio, lams * (1 - self.l1_ratio)
        return _gaps(W, C, squares, products, l1, l2) / (self.square / 2 if self.square > 0 else 1.0)

    def improve(self, open_, states, state, lams, steps) -> None:
        if states:
            for i in open_:
                states[i], taken = self.next([(lams[i], self.fitted(states[i]))], lams[i], self.limit - steps[i])
                steps[i] += taken
            return
        before = self.top if state is None else lams[open_[0] - 1]
        trail = [(lam, self.fitted(old)) for lam, old in [*self.trail, (before, state)]]
        while open_:
            found = self.straight(trail, lams, open_)
            if not found:
                here, there = (log(self.top / lam) for lam in (lams[open_[0]], lams[-1]))
                self.done = here / there if 0 < here <= there < inf else 1.0
                one, steps[open_[0]] = self.next(trail, lams[open_[0]], self.limit)
                found = [one]
            for i, one in zip(open_, found, strict=False):
                states[i] = one
                # Equal lams are one: lines are drawn through the last two that differ.
                trail = [*(trail[-1:] if lams[i] < trail[-1][0] else trail[:-1]), (lams[i], one)]
            open_ = open_[len(found) :]
        self.trail = trail[:-1]

    def straight(self, trail: list[tuple[float, State]], lams: np.ndarray, open_: list[int]) -> list[State]:
        """Minima of the lasso for the first of these lam, as long as signs are those of the last two: on a line."""
        if len(trail) < 2 or self.l1_ratio < 1:
            return []
        (before, (w0, c0)), (now, (w, c)) = trail
        signs = np.sign(w)
        if (np.sign(w0) != signs).any():
            return []
        # What has to stay above 0, and its change by as much as from the lam before to the last one.
        outside, step = signs == 0, now - before
        margins = np.concatenate([np.abs(w)[~outside], (now - c)[outside], (now + c)[outside]])
        changes = np.concatenate([(signs * (w - w0))[~outside], (step - (c - c0))[outside], (step + (c - c0))[outside]])
        falling = changes < 0
        end = now + step * (margins[falling] / -changes[falling]).min(initial=inf)
        return [*map(_line(trail), lams[open_][lams[open_] > end])]

    def next(self, trail: list[tuple[float, State]], lam: float, limit: int) -> tuple[State, int]:
        """The minimum in terms of the working set from those of one or two lam before, and the steps taken."""
        state, tries = trail[-1][1], min(limit, TRIES)
        if found := self.settled(state, _line(trail)(lam), lam * self.l1_ratio, lam * (1 - self.l1_ratio), tries):
            return found
        state, taken = self.minimised(state, lam, limit - tries) if tries < limit else (state, 0)
        return state, tries + taken

    def minimised(self, state: State, lam: float, limit: int) -> tuple[State, int]:
        """From the Gram matrix alone."""
        l1, l2 = lam * self.l1_ratio, lam * (1 - self.l1_ratio)
        target = SHARE * self.tolerance
        b = self.c[self.columns]

        def gap(state: State) -> float:
            product = self.square - b @ state.w
            return self.gap(state.w, state.c, product - state.c @ state.w, product, lam)

        best, least, turns, since, steps = state, gap(state), 0, 0, 0
        while steps < limit and least > target and since < PATIENCE:
            turns += 1
            self.known(np.flatnonzero(np.abs(state.c) > l1), state.c)
            state, taken = self.turn(turns, state, l1, l2, limit - steps)
            steps, present = steps + taken, gap(state)
            since = 0 if present < least else since + 1
            best, least = (state, present) if present < least else (best, least)
        return best, steps


def _line(trail: list[tuple[float, State]]) -> Callable[[float], State]:
    """Through the last two solutions, by lam; of one solution, that one."""
    (before, old), (now, state) = trail[0], trail[-1]
    if len(trail) < 2:
        return lambda lam: state
    dw, dc = (state.w - old.w) / (now - before), (state.c - old.c) / (now - before)
    return lambda lam: State(state.w + (lam - now) * dw, state.c + (lam - now) * dc)


def _gaps(W, C, squares, products, l1, l2) -> np.ndarray:
    """`certificates.elastic_net_gap` of several w, from c = X'r, r'r and y'r, whose comments say why."""
    with np.errstate(all="ignore"):
        shrunk, squares = C - l2[:, None] * W, squares + l2 * np.einsum("ij,ij->i", W, W)
        scale, highest = np.where(squares > 0, products / squares, 0.0), np.abs(shrunk).max(axis=1, initial=0.0)
        scale = np.where(np.abs(scale) * highest <= l1, scale, np.sign(scale) * l1 / highest)
        size = np.abs(W)
        gaps = squares / 2 + l1 * size.sum(axis=1) - (scale * products - scale**2 * squares / 2)
        if l2.any():
            l1, l2 = l1[:, None], l2[:, None]
            taken = np.clip(C, -l1, l1)
            other = ((C - taken - l2 * W) ** 2 / (2 * l2) + l1 * size - taken * W).sum(axis=1)
            gaps = np.fmin(gaps, other)
        return np.where(np.isfinite(gaps), np.maximum(gaps, 0.0), np.nan)
