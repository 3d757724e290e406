r"""Paths of the lasso and of the elastic net to a certificate, with few passes over X.

The objective is the one of `experiments.certificates`, $P(w) = \frac12 \|y - Xw\|^2 + \lambda (\alpha \|w\|_1 +
\frac{1 - \alpha}2 \|w\|^2)$, $\alpha$ being ``l1_ratio``. It is minimised in terms of the Gram matrix alone, as
`experiments.solvers.screened` says. Few columns are all in the working set from the start, and a column has its row of
the Gram matrix, of all columns, when it first violates the conditions of optimality.

The certificate is the relative duality gap `certificates.elastic_net_relative_gap`, of all columns in float64. Where
all are in the working set it is computed from the Gram matrix and a bound on its rounding errors added, if that is
small.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.solvers.screened import (
    SHARE,
    Path,
    Screened,
    Solution,
    State,
    allowed,
    checked,
    grid,
    single,
)
from experiments.solvers.threads import one_blas_thread, product

ALL = 1000  # columns that are all in the working set: rows of their Gram matrix are cheaper than checks of the others
FIRST = 24  # rows of it that are computed at least: nearly as fast as one
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

    def fill(self, c: np.ndarray, l1: float) -> None:
        """Rows of the Gram matrix for violating columns, and for those that may be next: as many as there are."""
        missing = np.flatnonzero(~self.filled)
        violating = np.count_nonzero(np.abs(c[missing]) > l1)
        if not violating:
            return
        count = min(max(violating, FIRST, np.count_nonzero(self.filled)), len(missing))
        new = missing[np.argpartition(-np.abs(c[missing]), count - 1)[:count]]
        rows = product(self.X[:, new].T, self.X)
        d = len(self.filled)
        self.gram[new, :d], self.gram[:d, new] = rows, rows.T
        self.filled[new] = True
        self.share()

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
        W = np.array([states[i].w for i in open_])
        if self.inside.all() and (error := self.rounding(W)) <= (1 - SHARE) * self.tolerance:
            b = self.c[self.columns]
            C = b - W @ self.gram[: len(b), : len(b)]
            for k, i in enumerate(open_):
                params[i][self.columns] = W[k]
                of_fit = self.square - b @ W[k]
                gaps[i] = error + self.gap(W[k], C[k], of_fit - C[k] @ W[k], of_fit, lams[i])
            return C[:, np.argsort(self.columns)]
        used = np.flatnonzero(W.any(axis=0))
        residual = self.y - product(W[:, used], self.part[:, used].T)
        C = product(residual, self.X)
        for k, i in enumerate(open_):
            params[i] = 0.0
            params[i][self.columns] = W[k]
            r = residual[k]
            gaps[i] = self.gap(params[i], C[k], float(r @ r), float(self.y @ r), lams[i])
        return C

    def rounding(self, W: np.ndarray) -> float:
        """How far relative gaps from the Gram matrix are from those of the data, at most.

        Inner products of n numbers are off by about the root of n times the unit of rounding, in parts of the product
        of lengths (Higham and Mary, *A new approach to probabilistic rounding error analysis*, 2019).
        """
        if self.square == 0:
            return np.inf
        lengths = np.sqrt(np.diagonal(self.gram)[: len(self.columns)])
        total = np.sqrt(self.square) + float((np.abs(W) @ lengths).max(initial=0.0))
        return float(8 * np.sqrt(sum(self.X.shape)) * np.finfo(float).eps * total**2 / self.square)

    def gap_at_zero(self, lam: float) -> float:
        return self.gap(np.zeros(len(self.c)), self.c, self.square, self.square, lam)

    def gap(self, w, c, square, product, lam) -> float:
        """`certificates.elastic_net_relative_gap` from c = X'r, r'r and y'r."""
        l1, l2 = lam * self.l1_ratio, lam * (1 - self.l1_ratio)
        return _gap(w, c, square, product, l1, l2) / (self.square / 2 if self.square > 0 else 1.0)

    def minimised(self, state: State, lam: float, limit: int) -> tuple[State, int]:
        """From the Gram matrix alone."""
        l1, l2 = lam * self.l1_ratio, lam * (1 - self.l1_ratio)
        target, steps = SHARE * self.tolerance, 0
        b = self.c[self.columns]

        def gap(state: State) -> float:
            product = self.square - b @ state.w
            return self.gap(state.w, state.c, product - state.c @ state.w, product, lam)

        if self.factor is not None:
            state, steps = self.newton(state, l1, l2, stale=True), 1
        best, least, turns, since = state, gap(state), 0, 0
        while steps < limit and least > target and since < PATIENCE:
            turns += 1
            self.fill(state.c, l1)
            state, taken = self.turn(turns, state, l1, l2, limit - steps)
            steps, present = steps + taken, gap(state)
            since = 0 if present < least else since + 1
            best, least = (state, present) if present < least else (best, least)
        return best, steps


def _gap(w, c, square, product, l1, l2) -> float:
    """`certificates.elastic_net_gap`, from c = X'r, r'r and y'r, whose comments say why."""
    shrunk, squares = c - l2 * w, square + l2 * (w @ w)
    scale, highest = product / squares if squares > 0 else 0.0, np.abs(shrunk).max(initial=0.0)
    scale = scale if abs(scale) * highest <= l1 else np.sign(scale) * l1 / highest
    gap = squares / 2 + l1 * np.abs(w).sum() - (scale * product - scale**2 * squares / 2)
    if l2 > 0:
        taken = np.clip(c, -l1, l1)
        gap = min(gap, np.sum((c - taken - l2 * w) ** 2 / (2 * l2) + l1 * np.abs(w) - taken * w))
    return max(float(gap), 0.0) if np.isfinite(gap) else float("nan")
