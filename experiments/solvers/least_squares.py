r"""Least squares on a CPU, from rows that NumPy has, by the products of BLAS.

$F(w) = \|S^{1/2} (Xu + b - y)\|^2 / 2 \operatorname{tr} S + \frac\lambda2 \|u\|^2$ with w = u, or (u, b) where there is
an intercept. JAX's copy of X and XLA's products would take longer than all of this. The normal equations are those of
the columns, or of the rows where these are fewer; conjugate gradients do what rounding leaves. Where the equations cost
much these are tried before, and go on as long as they are expected to end sooner.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve

from experiments.solvers.arrays import Rows
from experiments.solvers.checks import all_finite
from experiments.solvers.costs import FACTORED, TRIAL, Choice, gram_seconds, in_lines, passes_left
from experiments.solvers.descent import RIDGE, Here, norm
from experiments.solvers.problem import Solution, centre_of, ended
from experiments.solvers.threads import gram, one_blas_thread, summed_over_rows, threads

ENTRIES = 3e9  # of X, per second, in a pass: the value and the gradient
BEFORE = 2  # passes: at 0, and where it ends
FEWEST = 3  # passes of conjugate gradients, that tell
TYPICAL = 15  # of them to 1e-10, where nothing is known

GRADIENTS = "conjugate gradients"
COLUMNS = "normal equations"
ROWS = "normal equations of the rows"


class LeastSquares(NamedTuple):
    """The loss of data.

    Attributes:
        ours: whether threads of ours share the rows, or BLAS's own its work.
    """

    data: Rows
    lam: float
    intercept: bool
    ours: bool

    @property
    def total(self) -> float:
        X, _, s = self.data.host
        return float(len(X) if s is None else s.sum())

    def evaluated(self, w: np.ndarray) -> Here:
        squares, gradient = self._products(w, self.data.host[1])
        u = w[: self.data.shape[1]]
        return Here(w, squares / 2 + self.lam / 2 * (u @ u), gradient, None)

    def hessian_times(self, v: np.ndarray) -> np.ndarray:
        return self._products(v, None)[1]

    def _products(self, w: np.ndarray, y: np.ndarray | None) -> tuple[float, np.ndarray]:
        """The mean of the squares of Xu + b - y, and half its gradient with that of the penalty."""
        X, _, s = self.data.host
        d = X.shape[1]
        u, b = w[:d], w[d:].sum()

        def of(rows: slice) -> np.ndarray:
            r = X[rows] @ u
            r += b
            if y is not None:
                r -= y[rows]
            weighted = r if s is None else s[rows] * r
            return np.concatenate([weighted @ X[rows], [weighted.sum(), weighted @ r]])

        found = summed_over_rows(of, len(X), 2 * X.size if self.ours else 0) / self.total
        found[:d] += self.lam * u
        return float(found[-1]), found[: len(w)]

    def hessian(self) -> np.ndarray:
        X, _, s = self.data.host
        n, d = X.shape
        D = d + self.intercept
        H = np.empty((D, D))
        H[:d, :d] = gram(X, s, self.ours)
        H[:d, :d][np.diag_indices(d)] += self.lam * self.total
        if self.intercept:
            weights = np.ones(n) if s is None else s
            H[d, :d] = H[:d, d] = summed_over_rows(lambda rows: weights[rows] @ X[rows], n, X.size * self.ours)
            H[d, d] = self.total
        return H / self.total

    def from_rows(self) -> np.ndarray:
        r"""The minimum by the equations of the rows: $u = X^\top S^{1/2} \beta$, where $M \beta = S^{1/2} (y - b)$ with
        $M = S^{1/2} XX^\top S^{1/2} + \lambda \operatorname{tr}(S) I$, and $1^\top S^{1/2} \beta = 0$ for b (without an
        intercept: Saunders, Gammerman and Vovk, *Ridge regression learning algorithm in dual variables*, 1998).
        """
        X, y, s = self.data.host
        root = np.ones(len(X)) if s is None else np.sqrt(s)
        M = root[:, None] * gram(X.T, ours=self.ours) * root
        beta, of_ones = _inverse(M, self.lam * self.total)(np.column_stack([root * y, root])).T
        b = (root @ beta) / (root @ of_ones) if self.intercept else 0.0
        u = root * (beta - b * of_ones) @ X
        return np.append(u, b) if self.intercept else u


def choices(n: int, d: int, lam: float, tolerance: float, free: float) -> tuple[Choice, ...]:
    """What is expected of each method for which there are so many bytes of memory, in the order in which they begin."""
    once = n * d / ENTRIES

    def equations(name: str, n: int, d: int) -> list[Choice]:
        if 8 * d**2 * (threads() + 3) > free:
            return []
        return [Choice(0, BEFORE, gram_seconds(n, d) + d**3 / 3 / FACTORED + BEFORE * once, name)]

    exact = equations(COLUMNS, n, d) + (equations(ROWS, d, n) if lam > 0 and n < d else [])
    exact.sort(key=lambda choice: choice.seconds)
    passes = BEFORE + passes_left(TYPICAL, 1e-10, max(tolerance, 1e-16))
    gradients = Choice(0, passes, passes * once, GRADIENTS)
    # Data may be kind: some passes tell.
    tried = not exact or TRIAL * exact[0].seconds >= FEWEST * once
    return (gradients, *exact) if tried else (*exact, gradients)


def minimised(data: Rows, lam: float, intercept: bool, tolerance: float, limit: int, free: float, report) -> Solution:
    """As `experiments.solvers.smooth.solve`.

    Args:
        free: bytes of memory.
    Raises:
        InputError: for an entry of X that is not finite.
    """
    expected = choices(*data.shape, lam, tolerance, free)
    report(in_lines(expected))
    ours = expected[0].name == COLUMNS
    with one_blas_thread() if ours else contextlib.nullcontext():
        return _minimised(LeastSquares(data, lam, intercept, ours), expected, tolerance, limit, report)


def _minimised(problem, expected, tolerance, limit, report) -> Solution:
    here = problem.evaluated(np.zeros(problem.data.shape[1] + problem.intercept))
    size = norm(here)
    if not math.isfinite(size):
        all_finite("X", problem.data.host[0])
    bound, passes, short = tolerance * (size if size > 0 else 1.0), 1, False
    solved = _as_centred(problem)
    used, equations = expected[0], [choice for choice in expected if choice.name != GRADIENTS]
    if used.name == GRADIENTS:
        late = equations[0].seconds * ENTRIES / math.prod(problem.data.shape) if equations else math.inf
        here, taken, short = _conjugate_gradients(problem, here, solved, bound, limit - passes, late)
        passes += taken
    # Of those of the rows rounding may leave too much; numbers whose squares overflow have none. Each takes two passes.
    for choice in equations:
        if norm(here) <= bound or passes + 2 > limit:
            break
        if choice is not expected[0]:
            report(f"after {passes} passes  {choice.in_words()}")
        used, short = choice, False
        with contextlib.suppress(np.linalg.LinAlgError):
            if used.name == COLUMNS:
                solved, passes = _inverse(problem.hessian()), passes + 1
                here, taken = _exact_steps(problem, here, solved, bound, limit - passes)
                passes += taken
            else:
                there, passes = problem.evaluated(problem.from_rows()), passes + 2
                here = there if norm(there) < norm(here) else here
    if used.name != GRADIENTS and norm(here) > bound:
        here, taken, short = _conjugate_gradients(problem, here, solved, bound, limit - passes)
        passes += taken
    others = tuple(choice for choice in expected if choice is not used)
    return ended(here, size, tolerance, passes, short, (used, *others))


def _exact_steps(problem, here, solved, bound, limit):
    """Newton's, as long as rounding lets them gain, and the passes."""
    passes, gains = 0, True
    while norm(here) > bound and passes < limit and gains:
        there, passes = problem.evaluated(here.w - solved(here.gradient)), passes + 1
        gains = norm(there) < norm(here) / 2
        here = there if gains else here
    return here, passes


def _conjugate_gradients(problem, here, solved, bound, limit, late=math.inf):
    """Hestenes and Stiefel, 1952: where they end, the passes, and whether that is as far as rounding lets them go.

    Args:
        solved: the inverse of the metric, times a vector.
        late: passes. They are given up where they are expected to take more than so many.
    """
    begun, passes, given_up = norm(here), 0, False
    while passes < limit:
        w, g = here.w, here.gradient
        q = solved(g)
        along, slope = -q, g @ q
        while (size := float(np.linalg.norm(g))) > bound and passes < limit - 1 and not given_up:
            change, passes = problem.hessian_times(along), passes + 1
            length = slope / (along @ change)
            w, g = w + length * along, g + length * change
            q = solved(g)
            slope, before = g @ q, slope
            along = slope / before * along - q
            given_up = passes >= TRIAL * late and passes_left(passes, size / begun, bound / size) > late
        there, passes = problem.evaluated(w), passes + 1
        gained = norm(there) < norm(here) / 2
        here = there if norm(there) < norm(here) else here
        if norm(here) <= bound or given_up or not gained:
            return here, passes, not (norm(here) <= bound or given_up or passes >= limit)
    return here, passes, False


def _inverse(A: np.ndarray, shift: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """Of A with the shift added to its diagonal, or what makes it definite in double precision, times vectors."""
    A[np.diag_indices(len(A))] += max(shift, RIDGE * np.trace(A) / len(A))
    factor = np.linalg.cholesky(A)
    return lambda b: cho_solve((factor, True), b, check_finite=False)


def _as_centred(problem: LeastSquares) -> Callable[[np.ndarray], np.ndarray]:
    """The metric in which an intercept does as if the rows had mean 0."""
    if not problem.intercept:
        return lambda g: g
    centre = centre_of(problem.data, True)

    def solved(g):
        u = g[:-1] - centre * g[-1]
        return np.append(u, g[-1] - centre @ u)

    return solved
