r"""Smooth generalised linear models to a certificate, by a method that a cost model chooses.

The objective is a mean, $F(w) = \sum_i s_i \ell(x_i^\top w, y_i) / \sum_i s_i + \frac\lambda2 \|w\|^2$, for least
squares, Huber, logistic, Poisson and softmax regression; an intercept, the last row of w, is not penalised.

L-BFGS on a small sample of the rows comes near the minimum and tells how many steps it needs. Then it runs on all
rows, each step one evaluation of the gradient, from there and with the curvature that it has met. Where more than that
pays, Newton's method runs on a sample of m rows and ends where the sample cannot tell any more, in single precision
unless columns nearly determine one another; L-BFGS goes on in the metric of the sample's last Hessian. With m = n that
is Newton's method whose last steps are quasi-Newton steps; for least squares one step, with a Hessian in double
precision. In between the spectrum of the preconditioned Hessian is within $(1 \pm \sqrt{D/m})^2$ for rows of equal
leverage, whatever the conditioning of the data, so that each pass gains about a factor $\sqrt{m/D}$ (Avron, Maymounkov
and Toledo, *Blendenpik*, 2010, for least squares; Erdogdu and Montanari, *Convergence rates of sub-sampled Newton
methods*, 2015).

The Hessian of softmax regression, of K d columns, costs $K^2$ times that of one class. There L-BFGS itself runs in a
metric, once it has come some way: the d by d Hessian $X^\top \mathrm{diag}(c) X$ of some rows, with c the mean over
classes of their curvatures $p_k (1 - p_k)$, the same for each class, and scaled as L-BFGS scales the identity.

The certificate is $\|\nabla F(w)\| / \|\nabla F(0)\|$, computed in float64 from all data at the point that is
returned. With a penalty $F(w) - F^\star \le \|\nabla F(w)\|^2 / 2\lambda$ where there is no intercept.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, cholesky, solve_triangular

from experiments.solvers.arrays import Rows, placed
from experiments.solvers.checks import MODELS, checked, has_minimum, one_minimum_at_most
from experiments.solvers.costs import COARSE, MEMORY, Choice, Costs, Told, passes_left
from experiments.solvers.threads import cores_as_devices, gram, one_blas_thread, product
from jaxderiv.catalogue.classification import softmax
from jaxderiv.catalogue.regression import huber
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel
from jaxderiv.kernels.passes import Kernel

SINGLE = 1e7  # operations of a Hessian, from which on single precision saves more time than its copy of X takes
HANDOVER = 0.03  # relative gradient norm at which Newton's method on a sample ends
FOR_CENTRE = 1000  # rows, at least, that tell the mean of all
TOO_LONG = 0.6  # part of the way to the sample's minimum at which that of all rows seems to be
TRIED = 40  # passes of L-BFGS on the first sample, at most
EARLY = 0.1  # relative gradient norm from which on the curvature of classes tells
DETERMINED = 1e-4  # of a column's square, that the other columns leave of it: with less, single precision will not do
RIDGE = 1e-13  # of the mean of the Hessian's diagonal, added to its diagonal where it may be singular


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
        m = self.choices[0].rows
        name = "L-BFGS" if m == 0 else f"Newton's method on {m} rows, then L-BFGS in its metric"
        return name + ", in the span of the rows" * self.rotated


def solve(
    model: str,
    X: Any,
    y: Any,
    lam: float = 0.0,
    *,
    weights: Any = None,
    intercept: bool = False,
    delta: float = 1.345,
    tolerance: float = 1e-10,
    limit: int = 1000,
    rows: int | None = None,
    seed: int = 0,
    report: Callable[[str], object] = lambda line: None,
) -> Solution:
    """Minimise F. Devices share the rows of large data; where JAX has not begun, the cores of a CPU become devices.

    Args:
        model: a key of `MODELS`.
        X: (n, d); y: (n,), for softmax (n, K) with rows of sum 1; weights: (n,), not negative. NumPy or JAX arrays.
        lam: the penalty of the mean loss, 0 or more.
        delta: of Huber's loss, in the unit of y.
        tolerance: on the certificate.
        limit: of passes over X.
        rows: of the sample for the Hessian; by default the cost model chooses, and 0 is L-BFGS alone.
        seed: of the sample.
        report: called with lines that say what the cost model chose, and if it changes its mind.
    Raises:
        InputError: for shapes that do not fit, numbers that are not finite, targets outside of the model's, weights
            that are negative or all zero, more memory than there is; without a penalty also where there is no minimum
            or more than one.
    """
    cores_as_devices()
    with jax.enable_x64(True), one_blas_thread():
        given = checked(model, X, y, weights, lam, delta, tolerance, limit)
        n, d = np.shape(X)
        if lam == 0:
            one_minimum_at_most(given, intercept)
        shape = (d + intercept, *given.arrays[1].shape[1:])
        quadratic = model == "least squares"
        problem = _Problem(
            given, np.float64(lam), _kernel(model, delta), intercept, quadratic, _centre(given, intercept)
        )
        costs = Costs(n, d, math.prod(shape), math.prod(shape[1:]), quadratic)
        if rows is None and lam > 0 and isinstance(given.host[0], np.ndarray) and costs.in_row_space(tolerance):
            found = _in_row_space(problem, costs, tolerance, limit, seed, report)
        else:
            found = _minimised(problem, costs, np.zeros(shape), tolerance, limit, rows, seed, report)
        if lam == 0 and model in ("logistic", "softmax"):
            has_minimum(given, found.params, found.gradient_norm, intercept)
        return found


# The method --------------------------------------------------------------------------------------------------------
def _minimised(problem, costs, start, tolerance, limit, rows, seed, report) -> Solution:
    near = _on_first_sample(problem, costs.first, costs.metric, start.shape, seed) if costs.first else None
    if rows is None:
        choices = costs.choices(tolerance, near.told if near else None, _free_memory())
    else:
        choices = (Choice(min(rows, costs.n), limit, math.nan),)
        _said(costs, choices[0].rows, _free_memory())
    report("\n".join(f"{'' if k else 'chosen':8}{choice.in_words(costs.n)}" for k, choice in enumerate(choices[:4])))
    here = problem.evaluated(np.zeros(start.shape), hessian=costs.direct(choices[0].rows) and not start.any())
    size, hessian = _norm(here), here.hessian
    scale, passes, pairs = size if size > 0 else 1.0, 1, _no_pairs(start.shape)
    bound, here = np.float64(tolerance * scale), here._replace(hessian=None)
    if near is not None or start.any():
        there, passes = problem.evaluated(near.w if near else start), passes + 1
        part = _shrunk(here, there)
        if part < TOO_LONG:
            there, passes = problem.evaluated(part * np.asarray(there.w)), passes + 1
        # A sample may have no minimum where all the rows have one.
        if float(there.value) < float(here.value):
            here, pairs = there, near.pairs if near else pairs
    short = False
    if choices[0].rows == 0:
        if costs.metric and near is None:
            early = np.maximum(bound, EARLY * size)
            here, pairs, taken, short = problem.quasi_newton(here, pairs, None, early, limit - passes)
            passes += taken
        here, pairs, taken, short, choices = _alone(
            problem, here, pairs, near, bound, limit - passes, costs, choices, seed
        )
        passes += taken
        if choices[0].rows:
            report(f"after {passes} passes  {choices[0].in_words(costs.n)}")
    if choices[0].rows and _norm(here) > bound:
        direct = costs.direct(choices[0].rows)
        if direct:
            if hessian is None:
                here, passes = problem.evaluated(here.w, hessian=True), passes + 1
                hessian = here.hessian
            factor = _factor(hessian)
        else:
            w, factor = _on_samples(problem, here.w, choices[0].rows, near, HANDOVER * scale, seed)
            there, passes = problem.evaluated(w), passes + 1
            here = there if float(there.value) < float(here.value) else here
        here = here._replace(hessian=None)
        # The step with the Hessian of all rows is exact.
        last = problem._replace(quadratic=costs.quadratic and not direct)
        here, _, taken, short = last.quasi_newton(here, _no_pairs(start.shape), factor, bound, limit - passes)
        passes += taken
    if costs.quadratic and _norm(here) > bound:
        here = problem.evaluated(here.w)
    w, value, certificate = np.asarray(here.w), float(here.value), _norm(here) / scale
    if not (np.isfinite(certificate) and np.isfinite(value)):
        stopped = "not finite"
    elif certificate <= tolerance:
        stopped = "converged"
    else:
        stopped = "stalled" if short else "limit"
    return Solution(w, value, certificate, _norm(here), passes, stopped, choices)


def _in_row_space(problem, costs, tolerance, limit, seed, report) -> Solution:
    """With the rows of L for those of X, where $XX^\\top = LL^\\top$.

    The penalty keeps w a combination of the rows, and they are the rows of L in an orthonormal basis of their span.
    """
    X, y, s = problem.data.host
    gram_of_rows = gram(X.T)
    try:
        L = np.linalg.cholesky(gram_of_rows)
    except np.linalg.LinAlgError:
        # Rows that determine one another.
        L = np.linalg.cholesky(gram_of_rows + ROUNDING * np.trace(gram_of_rows) * np.eye(len(X)))
    fewer = costs.of_rows
    report(f"rotated into the span of the rows: {fewer.D} parameters for {costs.D}")
    data = placed(L, y, s)
    rotated = problem._replace(data=data, centre=_centre(data, problem.intercept))
    start = np.zeros((fewer.D // fewer.K, *problem.data.arrays[1].shape[1:]))
    found = _minimised(rotated, fewer, start, tolerance / 2, limit, None, seed, report)
    slopes, intercept = np.split(found.params, [len(X)])
    slopes = product(np.atleast_2d(solve_triangular(L, slopes, lower=True, trans=1).T), X)
    w = np.concatenate([slopes.T.reshape(costs.d, *start.shape[1:]), intercept])
    # What rounding has left to do is little.
    last = _minimised(problem, costs, w, tolerance, limit, None, seed, lambda line: None)
    return last._replace(choices=found.choices, passes=last.passes + 2, rotated=True)


class _Here(NamedTuple):
    w: jax.Array
    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array | None


def _norm(here: _Here) -> float:
    return float(np.linalg.norm(here.gradient))


class _Problem(NamedTuple):
    """F, of all rows or of a sample. What its methods take and return of w is in double precision."""

    data: Rows
    lam: np.float64
    loss: Kernel
    intercept: bool
    quadratic: bool
    centre: Any

    @property
    def _given(self) -> tuple[Any, ...]:
        return *self.data.arrays, self.lam

    @property
    def _how(self) -> dict[str, Any]:
        return {"loss": self.loss, "intercept": self.intercept, "over": self.data.over}

    def evaluated(self, w, hessian: bool = False) -> _Here:
        return _evaluated(w, *self._given, **self._how, want=_ALL if hessian else _ALL[:2])

    def newton(self, w, bound):
        """The point at which the gradient norm is at most the bound, the Cholesky factor of the Hessian there, and what
        part of its own square the columns before it leave of a column, the least.
        """
        return _newton(w, *self._given, bound, **self._how)

    def quasi_newton(self, here, pairs, factor, bound, limit):
        """Where L-BFGS ends, the pairs it remembers, the passes, and whether no step was short enough."""
        passes, last = 0, math.inf
        while True:
            here, pairs, taken, short = _quasi_newton(
                here,
                pairs,
                factor,
                self.centre,
                *self._given,
                bound,
                limit - passes,
                **self._how,
                quadratic=self.quadratic,
            )
            passes += int(taken)
            if not self.quadratic or not _norm(here) <= bound:
                return here, pairs, passes, bool(short)
            # The gradient of a quadratic has been carried along, with rounding.
            here, passes = self.evaluated(here.w), passes + 1
            reached = _norm(here)
            if not reached > bound or passes >= limit or reached > last / 2:
                return here, pairs, passes, reached > last / 2
            last = reached

    def metric(self, w, m: int, seed: int):
        """The Cholesky factor of the metric that classes share, of m rows or of all that there are."""
        problem = self.sample(min(m, len(self.data.host[0])), seed)
        # As in `_on_samples`: these rows may be on other devices.
        return np.asarray(_shared_factor(np.asarray(w), *problem._given, intercept=self.intercept))

    def sample(self, m: int, seed: int, dtype=np.float64) -> _Problem:
        """Of m of the rows, of those with weight, in that precision."""
        X, y, s = self.data.host
        if s is None and m == len(X) and X.dtype == dtype:
            return self
        usable = np.arange(len(X)) if s is None else np.flatnonzero(np.asarray(s) > 0)
        chosen = np.sort(np.random.default_rng(seed).choice(usable, min(m, len(usable)), replace=False))
        # NumPy takes rows faster than JAX does on a CPU.
        taken = [a if a is None or len(chosen) == len(X) else a[chosen] for a in (X, y, s)]
        return self._replace(data=placed(*taken, dtype=dtype))


_ALL = ("value", "gradient", "hessian")


@partial(jax.jit, static_argnames=("loss", "intercept", "over", "want"))
def _evaluated(w, X, y, s, lam, *, loss, intercept, over, want) -> _Here:
    w_, lam = w.astype(X.dtype), lam.astype(X.dtype)
    parts = loss.passes(w_, X, y, lam, want=want, weights=s, intercept=intercept, over=over)
    value, gradient, hessian = (
        None if part is None else part.astype(float) for part in (parts.value, parts.gradient, parts.hessian)
    )
    return _Here(w, value, gradient, hessian)


class _Near(NamedTuple):
    """Where L-BFGS on the first sample has ended, what it remembers, and what that tells."""

    w: np.ndarray
    pairs: tuple[np.ndarray, ...]
    told: Told


def _on_first_sample(problem, rows, metric, shape, seed) -> _Near:
    problem = problem.sample(rows, seed)
    here = problem.evaluated(np.zeros(shape))
    size = _norm(here)
    pairs, factor, taken = _no_pairs(shape), None, 0
    for end in (EARLY, COARSE) if metric else (COARSE,):
        factor = problem.metric(here.w, metric, seed) if taken else None
        here, pairs, more, _ = problem.quasi_newton(here, pairs, factor, np.float64(end * size), TRIED - taken)
        taken += more
    w, pairs = np.asarray(here.w), tuple(map(np.asarray, pairs))
    even = float(_evenness(w, *problem.data.arrays, loss=problem.loss, intercept=problem.intercept))
    gained = _norm(here) / size if size > 0 else 0.0
    return _Near(w, pairs, Told(taken, gained, rows, even))


@partial(jax.jit, static_argnames=("loss", "intercept"))
def _evenness(w, X, y, s, *, loss, intercept):
    """Kish's effective sample size of what the rows add to the trace of the Hessian, in parts of their number; of one
    row where none adds anything.
    """
    d = X.shape[1]
    C, F = loss.curvature.factors(X, X @ w[:d] + (w[d:] if intercept else 0), y)
    traces = jnp.sum(F**2, axis=1)
    shares = C * (traces if s is None else s * traces)[None]
    squares = jnp.sum(shares**2, axis=1)
    return jnp.min(jnp.where(squares > 0, jnp.sum(shares, axis=1) ** 2 / squares, 1.0)) / len(X)


def _shrunk(origin: _Here, there: _Here) -> float:
    """The minimum between 0 and w, of the cubic that has the values and slopes of both ends.

    Samples with few of one class are fitted by a w that is too long (Sur and Candès, *A modern maximum-likelihood
    theory*, 2019).
    """
    begun, ended = (float(np.vdot(point.gradient, there.w)) for point in (origin, there))
    mean = begun + ended + 3 * (float(origin.value) - float(there.value))
    root = math.sqrt(max(mean**2 - begun * ended, 0.0))
    bent = ended - begun + 2 * root
    return 1 - (ended + root - mean) / bent if begun < 0 < ended and math.isfinite(bent) else 1.0


def _alone(problem, here, pairs, near, bound, limit, costs, choices, seed):
    """L-BFGS, as long as it is expected to end before the next best choice would."""
    possible = [choice.rows for choice in choices if choice.rows]
    begun, passes, budget = _norm(here), 0, choices[0].passes
    while True:
        most = math.ceil(min(limit - passes, budget))
        factor = problem.metric(here.w, costs.metric, seed) if costs.metric else None
        here, pairs, taken, short = problem.quasi_newton(here, pairs, factor, bound, most)
        passes, reached = passes + taken, _norm(here)
        if short or passes >= limit or not reached > bound:
            return here, pairs, passes, short, choices
        budget = passes_left(passes, reached / begun, bound / reached)
        # From here Newton's method has a shorter way, too.
        told = Told(passes, reached / begun, near.told.rows if near else 0, near.told.even if near else 1.0)
        others = [c for c in costs.with_hessians(max(bound / reached, 1e-16), told) if c.rows in possible]
        if others and budget * costs.once > others[0].seconds:
            return here, pairs, passes, short, (others[0], *choices)


def _on_samples(problem, w, m, near, bound, seed):
    """The end of Newton's method on m rows, and the Cholesky factor of the Hessian there."""
    sizes = (m,) if near is None or near.told.converged or near.told.rows >= m else (near.told.rows, m)
    for dtype in (np.float32, np.float64) if m * w.size**2 >= SINGLE else (np.float64,):
        # All rows may be on other devices than those of a sample.
        found = np.asarray(w)
        for rows in sizes:
            found, factor, left = map(np.asarray, problem.sample(rows, seed, dtype).newton(found, np.float64(bound)))
        if left > DETERMINED:
            break
    return found, factor


@partial(jax.jit, static_argnames=("loss", "intercept", "over"))
def _newton(w, X, y, s, lam, bound, **how):
    evaluate = lambda w: _evaluated(w, X, y, s, lam, **how, want=_ALL)
    direction = lambda here, _: -_solved(_factor(here.hessian), here.gradient)
    rounding = max(10 * float(jnp.finfo(X.dtype).eps), ROUNDING)
    here, *_ = _descent(evaluate, direction, lambda memory, *_: memory, (), evaluate(w), bound, 30, rounding)
    factor = _factor(here.hessian)
    left = jnp.min(jnp.diagonal(factor) ** 2 / jnp.sum(factor**2, axis=1))
    return here.w, factor, jnp.where(jnp.isfinite(left), left, 0.0)


@partial(jax.jit, static_argnames=("loss", "intercept", "over", "quadratic"))
def _quasi_newton(here, pairs, factor, centre, X, y, s, lam, bound, limit, *, loss, intercept, over, quadratic):
    evaluate = lambda w: _evaluated(w, X, y, s, lam, loss=loss, intercept=intercept, over=over, want=_ALL[:2])
    along = lambda v: loss.hvp(here.w, v, X, y, lam, weights=s, intercept=intercept, over=over)
    solved, scaled, first = partial(_solved, factor), factor is None or len(factor) < here.w.size, 1.0
    if factor is None:
        solved = partial(_as_centred, centre)
        if not quadratic:
            first = jax.lax.cond(_newest(pairs) > 0, lambda: 1.0, lambda: _first(here.gradient, solved, along))
    direction = lambda here, pairs: -_inverse_times(here.gradient, pairs, solved, scaled, first)
    if quadratic:
        return *_conjugate(along, direction, pairs, here, bound, limit), False
    here, pairs, passes, length = _descent(evaluate, direction, _remembered, pairs, here, bound, limit, ROUNDING)
    return here, pairs, passes, length <= SHORTEST


def _first(gradient, solved, along):
    """The length of the first step, by the curvature along it."""
    step = solved(gradient)
    curved = jnp.vdot(step, along(step))
    return jnp.vdot(gradient, step) / jnp.where(curved > 0, curved, 1.0)


def _centre(data: Rows, intercept: bool):
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


def _newest(pairs):
    return jnp.vdot(pairs[0][-1], pairs[1][-1])


def _no_pairs(shape):
    return np.zeros((MEMORY, *shape)), np.zeros((MEMORY, *shape))


SHORTEST = 2.0**-40  # part of a step below which there is nothing to be gained
ROUNDING = 1e-12  # relative, of a value in double precision


def _descent(evaluate, direction, remember, memory, here, bound, limit, rounding):
    """Steps along a direction, halved until the loss decreases enough; each turn evaluates once.

    Where the loss cannot resolve a decrease any more, the slope along the step tells (Hager and Zhang, 2005).
    """

    def going(state):
        here, _, _, length, turns = state
        finite = jnp.isfinite(here.value)
        return (jnp.linalg.norm(here.gradient) > bound) & (turns < limit) & (length > SHORTEST) & finite

    def turn(state):
        here, memory, along, length, turns = state
        there = evaluate(here.w + length * along)
        slope = jnp.vdot(here.gradient, along)
        lower = there.value <= here.value + 1e-4 * length * slope
        level = there.value <= here.value + rounding * jnp.abs(here.value)
        level &= jnp.abs(jnp.vdot(there.gradient, along)) <= 0.9 * jnp.abs(slope)

        def step():
            known = remember(memory, length * along, there.gradient - here.gradient)
            return there, known, direction(there, known), jnp.ones(()), turns + 1

        return jax.lax.cond(lower | level, step, lambda: (here, memory, along, length / 2, turns + 1))

    begun = (here, memory, direction(here, memory), jnp.ones(()), jnp.zeros((), int))
    here, memory, _, length, turns = jax.lax.while_loop(going, turn, begun)
    return here, memory, turns, length


def _conjugate(along, direction, memory, here, bound, limit):
    """To the minimum along each direction, which a product with the Hessian tells where the loss is quadratic.

    With these steps L-BFGS is the method of conjugate gradients (Nazareth, 1979).
    """

    def going(state):
        here, _, turns = state
        return (jnp.linalg.norm(here.gradient) > bound) & (turns < limit) & jnp.isfinite(here.value)

    def turn(state):
        here, memory, turns = state
        step = direction(here, memory)
        change, slope = along(step), jnp.vdot(here.gradient, step)
        curved = jnp.vdot(step, change)
        length = -slope / jnp.where(curved > 0, curved, -slope)
        there = _Here(here.w + length * step, here.value + length * slope / 2, here.gradient + length * change, None)
        return there, _remembered(memory, length * step, length * change), turns + 1

    return jax.lax.while_loop(going, turn, (here, memory, jnp.zeros((), int)))


def _remembered(memory, step, change):
    """The pairs, the newest last; one without positive curvature is not kept."""
    kept = tuple(jnp.concatenate([old[1:], new[None]]) for old, new in zip(memory, (step, change), strict=True))
    return jax.lax.cond(jnp.vdot(step, change) > 0, lambda: kept, lambda: memory)


def _inverse_times(gradient, memory, solved, scaled, first):
    """The inverse Hessian of L-BFGS times the gradient.

    The two loops over the pairs in their compact form, which has few and larger operations (Byrd, Nocedal and Schnabel,
    *Representations of quasi-Newton matrices*, 1994, theorem 2.2).

    Args:
        solved: the inverse of the metric, times a vector.
        scaled: whether the newest pair scales it; `first` does where there is none.
    """
    S, Y = (vectors.reshape(MEMORY, -1) for vectors in memory)
    products, g = S @ Y.T, gradient.ravel()
    met = jnp.diagonal(products)
    R = jnp.triu(products) + jnp.diag(jnp.where(met > 0, 0.0, 1.0))
    part = solve_triangular(R, S @ g)
    r = solved(g - part @ Y)
    if scaled:
        newest = jnp.vdot(Y[-1], solved(Y[-1]))
        r *= jnp.where(newest > 0, met[-1] / jnp.where(newest > 0, newest, 1.0), first)
    return (r + solve_triangular(R, met * part - Y @ r, trans=1) @ S).reshape(gradient.shape)


@jax.jit
def _factor(H):
    D = math.prod(H.shape[: H.ndim // 2])
    H = H.reshape(D, D)
    return cholesky(H + RIDGE * jnp.trace(H) / D * jnp.eye(D), lower=True)


def _solved(factor, g):
    """A factor with fewer rows than g has entries is that of each class."""
    return cho_solve((factor, True), g.reshape(len(factor), -1)).reshape(g.shape)


@partial(jax.jit, static_argnames="intercept")
def _shared_factor(w, X, y, s, lam, *, intercept):
    d = X.shape[1]
    P = softmax.probabilities(X @ w[:d] + (w[d:] if intercept else 0))
    s = jnp.ones(len(X)) if s is None else s
    full = jnp.append(X, jnp.ones((len(X), 1)), axis=1) if intercept else X
    H = full.T @ ((s * jnp.mean(P * (1 - P), axis=1))[:, None] * full) / jnp.sum(s)
    return _factor(H + lam * jnp.diag(jnp.append(jnp.ones(d), jnp.zeros(len(w) - d))))


# Data --------------------------------------------------------------------------------------------------------------
@functools.cache
def _kernel(model: str, delta: float) -> Kernel:
    made = kernel(huber, delta=delta) if model == "huber" else kernel(MODELS[model])
    return made._replace(mean=True)


def _said(costs: Costs, m: int, free: float) -> None:
    """Memory that is not there is said before it is asked for."""
    if costs.needed(m) > free:
        raise InputError(
            f"the Hessian of {costs.D} parameters and a sample of {m} rows take {costs.needed(m) / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB are free; rows=0 needs neither"
        )


def _free_memory() -> float:
    """Infinity where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return math.inf
