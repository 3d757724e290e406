"""A penalised loss of data, as `experiments.solvers.smooth` takes it: evaluated, and minimised by one method."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.solvers.arrays import Rows
from experiments.solvers.costs import Choice
from experiments.solvers.descent import (
    ROUNDING,
    SHORTEST,
    Here,
    descent,
    factor_of,
    inverse_times,
    newest,
    norm,
    remembered,
    solved_by,
)
from jaxderiv.catalogue.classification import softmax
from jaxderiv.kernels.passes import Kernel

FOR_CENTRE = 1000  # rows, at least, that tell the mean of all


class Solution(NamedTuple):
    """Where a solver stopped.

    Attributes:
        params: w, with the intercept as the last row.
        value: F(w).
        certificate: $\\|\\nabla F(w)\\| / \\|\\nabla F(0)\\|$; the numerator alone where the start is stationary.
        gradient_norm: $\\|\\nabla F(w)\\|$.
        passes: over all of X.
        stopped: "converged"; "limit" of passes; "stalled", no step lowers the loss in double precision; "not finite".
        choices: of the cost model: first the one that was taken, then the others, the cheapest first; where L-BFGS was
            given up they begin with what was taken then.
        rotated: whether they are of w in the span of the rows of X, which were fewer than its columns.
    """

    params: np.ndarray
    value: float
    certificate: float
    gradient_norm: float
    passes: int
    stopped: str
    choices: tuple[Choice, ...]
    rotated: bool = False

    @property
    def method(self) -> str:
        """In words."""
        return self.choices[0].method + ", in the span of the rows" * self.rotated


def ended(here: Here, size: float, tolerance: float, passes: int, short: bool, choices, **more) -> Solution:
    """What is said of a point.

    Args:
        size: of the gradient at 0.
        short: whether rounding allows no step that lowers the loss.
    """
    value, certificate = float(here.value), norm(here) / (size if size > 0 else 1.0)
    if not (math.isfinite(certificate) and math.isfinite(value)):
        stopped = "not finite"
    elif certificate <= tolerance:
        stopped = "converged"
    else:
        stopped = "stalled" if short else "limit"
    return Solution(np.asarray(here.w), value, certificate, norm(here), passes, stopped, choices, **more)


class Problem(NamedTuple):
    """F, of all rows or of a sample. What its methods take and return of w is in double precision."""

    data: Rows
    lam: np.float64
    loss: Kernel
    intercept: bool
    centre: Any

    @property
    def _given(self) -> tuple[Any, ...]:
        return *self.data.arrays, self.lam

    @property
    def _how(self) -> dict[str, Any]:
        return {"loss": self.loss, "intercept": self.intercept, "over": self.data.over}

    def evaluated(self, w) -> Here:
        return _evaluated(w, *self._given, **self._how, want=_ALL[:2])

    def newton(self, w, bound):
        """The point at which the gradient norm is at most the bound, the Cholesky factor of the Hessian there, and what
        part of its own square the columns before it leave of a column, the least.
        """
        return _newton(w, *self._given, bound, **self._how)

    def quasi_newton(self, here, pairs, factor, bound, limit):
        """Where L-BFGS ends, the pairs it remembers, the passes, and whether no step was short enough."""
        how = (factor, self.centre, *self._given, bound, limit)
        here, pairs, passes, length = _quasi_newton(here, pairs, *how, **self._how)
        return here, pairs, int(passes), float(length) <= SHORTEST

    def metric(self, w, m: int, seed: int):
        """The Cholesky factor of the metric that classes share, of m rows or of all that there are."""
        problem = self.sample(min(m, len(self.data.host[0])), seed)
        # As in `_on_samples`: these rows may be on other devices.
        return np.asarray(_shared_factor(np.asarray(w), *problem._given, intercept=self.intercept))

    def sample(self, m: int, seed: int, dtype=np.float64) -> Problem:
        """Of m of the rows, of those with weight, in that precision."""
        X, y, s = self.data.host
        if s is None and m == len(X) and X.dtype == dtype:
            return self
        usable = np.arange(len(X)) if s is None else np.flatnonzero(np.asarray(s) > 0)
        chosen = np.sort(np.random.default_rng(seed).choice(usable, min(m, len(usable)), replace=False))
        # NumPy takes rows faster than JAX does on a CPU.
        taken = [a if a is None or len(chosen) == len(X) else a[chosen] for a in (X, y, s)]
        return self._replace(data=Rows(*taken, dtype=dtype))


_ALL = ("value", "gradient", "hessian")


@partial(jax.jit, static_argnames=("loss", "intercept", "over", "want"))
def _evaluated(w, X, y, s, lam, *, loss, intercept, over, want) -> Here:
    w_, lam = w.astype(X.dtype), lam.astype(X.dtype)
    parts = loss.passes(w_, X, y, lam, want=want, weights=s, intercept=intercept, over=over)
    value, gradient, hessian = (
        None if part is None else part.astype(float) for part in (parts.value, parts.gradient, parts.hessian)
    )
    return Here(w, value, gradient, hessian)


@partial(jax.jit, static_argnames=("loss", "intercept", "over"))
def _newton(w, X, y, s, lam, bound, **how):
    evaluate = lambda w: _evaluated(w, X, y, s, lam, **how, want=_ALL)
    direction = lambda here, _: -solved_by(factor_of(here.hessian), here.gradient)
    rounding = max(10 * float(jnp.finfo(X.dtype).eps), ROUNDING)
    here, *_ = descent(evaluate, direction, lambda memory, *_: memory, (), evaluate(w), bound, 30, rounding)
    factor = factor_of(here.hessian)
    left = jnp.min(jnp.diagonal(factor) ** 2 / jnp.sum(factor**2, axis=1))
    return here.w, factor, jnp.where(jnp.isfinite(left), left, 0.0)


@partial(jax.jit, static_argnames=("loss", "intercept", "over"))
def _quasi_newton(here, pairs, factor, centre, X, y, s, lam, bound, limit, *, loss, intercept, over):
    evaluate = lambda w: _evaluated(w, X, y, s, lam, loss=loss, intercept=intercept, over=over, want=_ALL[:2])
    along = lambda v: loss.hvp(here.w, v, X, y, lam, weights=s, intercept=intercept, over=over)
    solved, scaled, first = partial(solved_by, factor), factor is None or len(factor) < here.w.size, 1.0
    if factor is None:
        solved = partial(_as_centred, centre)
        first = jax.lax.cond(newest(pairs) > 0, lambda: 1.0, lambda: _first(here.gradient, solved, along))
    direction = lambda here, pairs: -inverse_times(here.gradient, pairs, solved, scaled, first)
    return descent(evaluate, direction, remembered, pairs, here, bound, limit, ROUNDING)


def _first(gradient, solved, along):
    """The length of the first step, by the curvature along it."""
    step = solved(gradient)
    curved = jnp.vdot(step, along(step))
    return jnp.vdot(gradient, step) / jnp.where(curved > 0, curved, 1.0)


def centre_of(data: Rows, intercept: bool):
    """The mean of evenly spaced rows, for `_as_centred`."""
    if not intercept:
        return None
    X, _, s = data.host
    step = max(len(X) // FOR_CENTRE, 1)
    s = np.ones(len(X[::step])) if s is None else s[::step]
    return s @ X[::step] / max(float(np.sum(s)), np.finfo(float).tiny)


def _as_centred(centre, q):
    """The metric in which an intercept does as if the rows had mean 0."""
    if centre is None:
        return q
    slopes, intercept = jnp.split(q.reshape(len(centre) + 1, -1), [len(centre)])
    slopes = slopes - centre[:, None] * intercept
    return jnp.concatenate([slopes, intercept - (centre @ slopes)[None]]).reshape(q.shape)


@partial(jax.jit, static_argnames="intercept")
def _shared_factor(w, X, y, s, lam, *, intercept):
    d = X.shape[1]
    P = softmax.probabilities(X @ w[:d] + (w[d:] if intercept else 0))
    s = jnp.ones(len(X)) if s is None else s
    full = jnp.append(X, jnp.ones((len(X), 1)), axis=1) if intercept else X
    H = full.T @ ((s * jnp.mean(P * (1 - P), axis=1))[:, None] * full) / jnp.sum(s)
    return factor_of(H + lam * jnp.diag(jnp.append(jnp.ones(d), jnp.zeros(len(w) - d))))


@partial(jax.jit, static_argnames=("loss", "intercept"))
def evenness(w, X, y, s, *, loss, intercept):
    """Kish's effective sample size of what the rows add to the trace of the Hessian, in parts of their number; of one
    row where none adds anything.
    """
    d = X.shape[1]
    C, F = loss.curvature.factors(X, X @ w[:d] + (w[d:] if intercept else 0), y)
    traces = jnp.sum(F**2, axis=1)
    shares = C * (traces if s is None else s * traces)[None]
    squares = jnp.sum(shares**2, axis=1)
    return jnp.min(jnp.where(squares > 0, jnp.sum(shares, axis=1) ** 2 / squares, 1.0)) / len(X)
