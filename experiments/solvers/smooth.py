r"""Smooth generalised linear models to a certificate, by a method that a cost model chooses.

The objective is a mean, $F(w) = \sum_i s_i \ell(x_i^\top w, y_i) / \sum_i s_i + \frac\lambda2 \|w\|^2$, for least
squares, Huber, logistic, Poisson and softmax regression; an intercept, the last row of w, is not penalised.

L-BFGS on a small sample of the rows comes near the minimum and tells how many steps it needs. Then it runs on all
rows, each step one evaluation of the gradient, from there and with the curvature that it has met. Where more than that
pays, Newton's method runs on a sample of m rows and ends where the sample cannot tell any more, in single precision
unless columns nearly determine one another; L-BFGS goes on in the metric of the sample's last Hessian. With m = n that
is Newton's method whose last steps are quasi-Newton steps. Of m rows, the spectrum of the preconditioned Hessian is
within $(1 \pm \sqrt{D/m})^2$ for rows of equal leverage, whatever the conditioning of the data, so that each pass gains
about a factor $\sqrt{m/D}$ (Avron, Maymounkov and Toledo, *Blendenpik*, 2010, for least squares; Erdogdu and Montanari,
*Convergence rates of sub-sampled Newton methods*, 2015). L-BFGS that is slower than was expected ends, and the next
Hessian is of more rows, where it has come to. Least squares on a CPU have a module of their own.

The Hessian of softmax regression, of K d columns, costs $K^2$ times that of one class. There L-BFGS itself runs in a
metric, once it has come some way: the d by d Hessian $X^\top \mathrm{diag}(c) X$ of some rows, with c the mean over
classes of their curvatures $p_k (1 - p_k)$, the same for each class, and scaled as L-BFGS scales the identity.

An intercept is taken along as if the columns had mean 0. Fewer rows than columns may be rotated into their span, in
which w has as many entries as there are rows: where that is expected to be cheaper, at the start or later.

The certificate is $\|\nabla F(w)\| / \|\nabla F(0)\|$, computed in float64 from all data at the point that is
returned. With a penalty $F(w) - F^\star \le \|\nabla F(w)\|^2 / 2\lambda$ where there is no intercept.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.scipy.linalg import solve_triangular

from experiments.solvers import least_squares
from experiments.solvers.arrays import Rows
from experiments.solvers.checks import MODELS, all_finite, checked, has_minimum, one_minimum_at_most
from experiments.solvers.costs import ASKED, COARSE, SPAN, Choice, Costs, Told, in_lines, passes_left
from experiments.solvers.descent import ROUNDING, Here, no_pairs, norm, shrunk
from experiments.solvers.problem import Problem, Solution, centre_of, ended, evenness
from experiments.solvers.threads import cores_as_devices, gram, one_blas_thread, product
from jaxderiv.catalogue.regression import huber
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel
from jaxderiv.kernels.passes import Kernel

SINGLE = 1e7  # operations of a Hessian, from which on single precision saves more time than its copy of X takes
HANDOVER = 0.03  # relative gradient norm at which Newton's method on a sample ends
TOO_LONG = 0.6  # part of the way to the sample's minimum at which that of all rows seems to be
TRIED = 40  # passes of L-BFGS on the first sample, at most
EARLY = 0.1  # relative gradient norm from which on the curvature of classes tells
DETERMINED = 1e-4  # of a column's square, that the other columns leave of it: with less, single precision will not do


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
    with jax.enable_x64(True), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        given = checked(model, X, y, weights, lam, delta, tolerance, limit)
        if lam == 0:
            all_finite("X", given.host[0])
            with one_blas_thread():
                one_minimum_at_most(given, intercept)
        by_numpy = rows is None and isinstance(given.host[0], np.ndarray)
        if by_numpy and model == "least squares":
            return least_squares.minimised(given, lam, intercept, tolerance, limit, _free_memory(), report)
        with one_blas_thread():
            n, d = given.shape
            shape = (d + intercept, *np.shape(y)[1:])
            problem = Problem(given, np.float64(lam), _kernel(model, delta), intercept, centre_of(given, intercept))
            costs = Costs(n, d, math.prod(shape), math.prod(shape[1:]), model == "least squares")
            rotates = by_numpy and lam > 0
            found = _minimised(problem, costs, np.zeros(shape), tolerance, limit, rows, rotates, seed, report)
        if lam == 0 and model in ("logistic", "softmax"):
            has_minimum(given, found.params, found.gradient_norm, intercept)
        return found


# The method --------------------------------------------------------------------------------------------------------
def _minimised(problem, costs, start, tolerance, limit, rows, rotates, seed, report) -> Solution:
    here = problem.evaluated(np.zeros(start.shape))
    size = norm(here)
    if not math.isfinite(size):
        all_finite("X", problem.data.host[0])
    near = _on_first_sample(problem, costs.first, costs.metric, start.shape, seed) if costs.first else None
    if rows is None:
        choices = costs.choices(tolerance, near.told if near else None, _free_memory(), rotates)
    else:
        choices = (Choice(min(rows, costs.n), limit, math.nan),)
        _said(costs, choices[0].rows, _free_memory())
    report(in_lines(choices))
    scale, passes, pairs = size if size > 0 else 1.0, 1, no_pairs(start.shape)
    bound = np.float64(tolerance * scale)
    if near is not None or start.any():
        there, taken = _not_too_long(problem, here, near.w) if near else (problem.evaluated(start), 1)
        passes += taken
        # A sample may have no minimum where all the rows have one.
        if float(there.value) < float(here.value):
            here, pairs = there, near.pairs if near else pairs
    short, factor, handover = False, None, HANDOVER * scale
    if choices[0].alone and costs.metric and near is None and norm(here) > bound:
        early = np.maximum(bound, EARLY * size)
        here, pairs, taken, short = problem.quasi_newton(here, pairs, None, early, limit - passes)
        passes += taken
    while norm(here) > bound and passes < limit and not short:
        if choices[0].rotated:
            inside = _in_row_space(problem, costs, here.w, tolerance / 2, limit, choices[0].rows or None, seed, report)
            if inside is None:
                return _minimised(problem, costs, start, tolerance, limit, rows, False, seed, report)
            here, passes = _lower(here, problem.evaluated(inside.params)), passes + SPAN + 1
            if norm(here) > bound:
                # What rounding has left to do is little.
                here, _, taken, short = problem.quasi_newton(here, no_pairs(start.shape), None, bound, limit - passes)
                passes += taken
            return ended(here, size, tolerance, passes, short, inside.choices, rotated=True)
        if choices[0].rows:
            w, factor = _on_samples(problem, here.w, choices[0].rows, near, handover, seed)
            here, passes, pairs, near = _lower(here, problem.evaluated(w)), passes + 1, no_pairs(start.shape), None
            handover = HANDOVER * norm(here)
        here, pairs, taken, short, following = _as_long_as_it_pays(
            problem, here, pairs, factor, near, bound, limit - passes, costs, choices, seed
        )
        passes += taken
        if following is not choices:
            choices = following
            report(f"after {passes} passes  {choices[0].in_words()}")
    return ended(here, size, tolerance, passes, short, choices)


def _lower(here: Here, there: Here) -> Here:
    return there if float(there.value) < float(here.value) else here


def _in_row_space(problem, costs, w, tolerance, limit, rows, seed, report) -> Solution | None:
    r"""With the rows of L for those of X, where $XX^\top = LL^\top$, from w on; None where these products overflow.

    The penalty keeps w a combination of the rows, and they are the rows of L in an orthonormal basis of their span.
    """
    X, y, s = problem.data.host
    gram_of_rows = gram(X.T)
    if not np.isfinite(gram_of_rows).all():
        return None
    try:
        L = np.linalg.cholesky(gram_of_rows)
    except np.linalg.LinAlgError:
        # Rows that determine one another, or are 0.
        least = max(ROUNDING * float(np.trace(gram_of_rows)), np.finfo(float).tiny)
        L = np.linalg.cholesky(gram_of_rows + least * np.eye(len(X)))
    fewer, (slopes, intercept) = costs.of_rows, np.split(np.asarray(w), [costs.d])
    report(f"rotated into the span of the rows: {fewer.D} parameters for {costs.D}")
    data = Rows(L, y, s)
    rotated = problem._replace(data=data, centre=centre_of(data, problem.intercept))
    inside = solve_triangular(L, X @ slopes, lower=True) if slopes.any() else np.zeros((len(X), *w.shape[1:]))
    start = np.concatenate([inside, intercept])
    found = _minimised(rotated, fewer, start, tolerance, limit, rows, False, seed, report)
    slopes, intercept = np.split(found.params, [len(X)])
    slopes = product(np.atleast_2d(solve_triangular(L, slopes, lower=True, trans=1).T), X)
    return found._replace(params=np.concatenate([slopes.T.reshape(costs.d, *w.shape[1:]), intercept]))


class _Near(NamedTuple):
    """Where L-BFGS on the first sample has ended, what it remembers, and what that tells."""

    w: np.ndarray
    pairs: tuple[np.ndarray, ...]
    told: Told


def _on_first_sample(problem, rows, metric, shape, seed) -> _Near:
    problem = problem.sample(rows, seed)
    here = problem.evaluated(np.zeros(shape))
    size = norm(here)
    pairs, factor, taken = no_pairs(shape), None, 0
    for end in (EARLY, COARSE) if metric else (COARSE,):
        factor = problem.metric(here.w, metric, seed) if taken else None
        here, pairs, more, _ = problem.quasi_newton(here, pairs, factor, np.float64(end * size), TRIED - taken)
        taken += more
    w, pairs = np.asarray(here.w), tuple(map(np.asarray, pairs))
    even = float(evenness(w, *problem.data.arrays, loss=problem.loss, intercept=problem.intercept))
    gained = norm(here) / size if size > 0 else 0.0
    return _Near(w, pairs, Told(taken, gained, rows, even))


def _not_too_long(problem, origin, w):
    """What is at w, or at the part of it where the loss seems to be least, and the passes that took."""
    there = problem.evaluated(w)
    part = shrunk(origin, there)
    if part >= TOO_LONG:
        return there, 1
    return _lower(there, problem.evaluated(part * w)), 2


def _as_long_as_it_pays(problem, here, pairs, factor, near, bound, limit, costs, choices, seed):
    """L-BFGS in the metric of a Hessian, or of classes, as long as it is expected to end before what the next best
    choice begins would: with a Hessian from here, of more rows if there are more.
    """
    possible = [choice.rows for choice in choices if choice.rows > choices[0].rows or choice.rows == costs.n]
    rotates = any(choice.rotated for choice in choices)
    begun = before = norm(here)
    passes, budget = 0, choices[0].passes
    while True:
        most = math.ceil(min(limit - passes, max(budget, ASKED / costs.once)))
        metric = problem.metric(here.w, costs.metric, seed) if factor is None and costs.metric else factor
        here, pairs, taken, short = problem.quasi_newton(here, pairs, metric, bound, most)
        passes, reached = passes + taken, norm(here)
        if short or passes >= limit or not reached > bound:
            return here, pairs, passes, short, choices
        # A step that is too long is shortened many times before it is given up.
        budget = max(passes_left(passes, reached / begun, bound / reached), 2 * taken * (reached >= before))
        before = reached
        # From here Newton's method has a shorter way, too.
        told = Told(passes, reached / begun, near.told.rows if near else 0, near.told.even if near else 1.0)
        left = max(bound / reached, 1e-16)
        others = [choice for choice in costs.with_hessians(left, told) if choice.rows in possible]
        if rotates:
            others = sorted(others + costs.rotated(left, _free_memory(), told), key=lambda choice: choice.seconds)
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
