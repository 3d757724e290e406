r"""Smooth generalised linear models to a certificate, by a method that a cost model chooses.

The objective is a mean, $F(w) = \sum_i s_i \ell(x_i^\top w, y_i) / \sum_i s_i + \frac\lambda2 \|w\|^2$, for least
squares, Huber, logistic, Poisson and softmax regression; an intercept, the last row of w, is not penalised.

There is one method with one number. Newton's method runs on a sample of m rows, begun on an eighth of them, which is
cheap, and ends where the sample cannot tell any more. It is done in single precision unless columns nearly determine
one another. From there L-BFGS runs on all rows in double precision, each step one evaluation of the gradient, in the
metric of the sample's last Hessian. With m = n that is Newton's method whose last steps are quasi-Newton steps; with
m = 0 it is L-BFGS. In between the spectrum of the preconditioned Hessian is within $(1 \pm \sqrt{D/m})^2$ for rows of
equal leverage, whatever the conditioning of the data, so that each pass gains about a factor $\sqrt{m/D}$ (Avron,
Maymounkov and Toledo, *Blendenpik*, 2010, for least squares; Erdogdu and Montanari, *Convergence rates of sub-sampled
Newton methods*, 2015).

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
from jax.scipy.linalg import cho_solve, cholesky

from experiments import fit_existence
from experiments.solvers.arrays import on_device
from experiments.solvers.threads import one_blas_thread
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, mean_squared_error, poisson
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel
from jaxderiv.kernels.passes import Kernel

MODELS = {"least squares": mean_squared_error, "huber": huber, "logistic": logistic, "poisson": poisson,
          "softmax": softmax}  # fmt: skip

# The machine of the cost model, per second: two cores, as measured. Only ratios matter.
FLOPS = 3e11  # operations of a Hessian's product, in single precision
ENTRIES = 2e8  # of X, what the Hessian's scaled copy and small products are limited by
BYTES = 4e10  # read
LOGITS = 1.3e8  # of which a pass takes exponentials
FACTORED = 3e10  # operations of a Cholesky factor
CALL = 1e-4  # seconds for each step besides
NEWTON_STEPS = (5, 2)  # on the first sample and on all m rows, of a loss that is not quadratic
SINGLE = 1e7  # operations of a Hessian, from which on single precision saves more time than its copy of X takes
FIRST = 8  # times fewer rows in the first sample
WORTH = 4e8  # operations of a Hessian, from which on a first sample is worth the time to compile for its shape
CHANGE = 0.03  # of the curvature between where Newton's method ends and the minimum
COARSE = 1e-3  # relative gradient norm at which Newton's method hands over
DETERMINED = 1e-4  # of a column's square, that the other columns leave of it: with less, single precision will not do
PROBE = 0.02  # seconds expected, from which on it pays to ask how fast L-BFGS is without a sample
MEMORY = 10  # pairs that L-BFGS remembers
PROBED = 12  # steps of conjugate gradients that tell how fast L-BFGS will be
RIDGE = 1e-13  # of the mean of the Hessian's diagonal, added to its diagonal where it may be singular


class Choice(NamedTuple):
    """What the cost model expects of a sample of so many rows: passes over X, and seconds on its machine."""

    rows: int
    passes: float
    seconds: float


class Solution(NamedTuple):
    """Where a solver stopped.

    Attributes:
        params: w, with the intercept as the last row.
        value: F(w).
        certificate: $\\|\\nabla F(w)\\| / \\|\\nabla F(0)\\|$; the numerator alone where the start is stationary.
        passes: over all of X.
        stopped: "converged"; "limit" of passes; "stalled", no step lowers the loss in double precision; "not finite".
        choices: of the cost model, the cheapest first, which was taken.
    """

    params: np.ndarray
    value: float
    certificate: float
    passes: int
    stopped: str
    choices: tuple[Choice, ...]

    @property
    def method(self) -> str:
        """In words."""
        m = self.choices[0].rows
        return "L-BFGS" if m == 0 else f"Newton's method on {m} rows, then L-BFGS in its metric"


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
    start: Any = None,
    seed: int = 0,
    report: Callable[[str], object] = lambda line: None,
) -> Solution:
    """Minimise F.

    Args:
        model: a key of `MODELS`.
        X: (n, d); y: (n,), for softmax (n, K) with rows of sum 1; weights: (n,), not negative. NumPy or JAX arrays.
        lam: the penalty of the mean loss, 0 or more.
        delta: of Huber's loss, in the unit of y.
        tolerance: on the certificate.
        limit: of passes over X.
        rows: of the sample; by default the cost model chooses.
        start: the first point of L-BFGS, for warm starts; by default what Newton's method on the sample finds.
        seed: of the sample.
        report: called with lines that say what the cost model chose.
    Raises:
        InputError: for shapes that do not fit, numbers that are not finite, targets outside of the model's, weights
            that are negative or all zero, more memory than there is; without a penalty also where there is no minimum
            or more than one.
    """
    with jax.enable_x64(True), one_blas_thread():
        X, y, s = _checked(model, X, y, weights, lam, delta, tolerance, limit)
        if lam == 0:
            _one_minimum_at_most(X, s, intercept)
        loss = _kernel(model, delta)
        shape = (X.shape[1] + intercept, *y.shape[1:])
        how: dict[str, Any] = {"loss": loss, "intercept": intercept}
        data = (X, y, s, np.float64(lam))
        choices = (
            _choices(model, data, shape, max(tolerance, 1e-16), how)
            if rows is None
            else (Choice(rows, math.nan, math.nan),)
        )
        m = min(choices[0].rows, len(X))
        _said(X, m, shape)
        report(_in_words(choices, len(X)))
        here = _evaluated(np.zeros(shape), *data, **how)
        size = float(jnp.linalg.norm(here.gradient))
        scale, factor = size if size > 0 else 1.0, None
        if m:
            w, factor = _on_samples(data, m, shape, COARSE * scale, seed, model, how)
            there = _evaluated(w, *data, **how)
            # A sample may have no minimum where all the rows have one.
            here = there if there.value < here.value else here
        if start is not None:
            here = _evaluated(np.asarray(start, dtype=float).reshape(shape), *data, **how)
        here, passes, short = _quasi_newton(here, factor, *data, np.float64(tolerance * scale), limit, **how)
        w, value, certificate = here.w, float(here.value), float(jnp.linalg.norm(here.gradient)) / scale
        if not (np.isfinite(certificate) and np.isfinite(value)):
            stopped = "not finite"
        elif certificate <= tolerance:
            stopped = "converged"
        else:
            stopped = "stalled" if short else "limit"
        if lam == 0 and model in ("logistic", "softmax"):
            _has_minimum(data, w, certificate * scale, intercept)
        return Solution(np.asarray(w), value, certificate, int(passes) + 1 + (m > 0), stopped, choices)


# The cost model ----------------------------------------------------------------------------------------------------
def _choices(model, data, shape, tolerance, how) -> tuple[Choice, ...]:
    """Samples of n, n/2, n/4 ... rows, and of none if the others are dear; the cheapest first."""
    n, d = data[0].shape
    D, K = math.prod(shape), math.prod(shape[1:])
    once = 2 * n * d * 8 / BYTES + 4 * n * d * K / FLOPS + n * K / LOGITS + CALL
    products = max(1, K * (K - 1) // 2)

    def hessian(m: int) -> float:
        return m * d * (1 / ENTRIES + 2 * products * d / FLOPS) + D**3 / 3 / FACTORED + CALL

    def of(m: int) -> Choice:
        quadratic = model == "least squares"
        missed = math.sqrt(D / m * (1 - m / n)) + (1e-8 if quadratic else CHANGE)
        passes = math.log(tolerance) / math.log(min(missed, 0.98)) + 2
        steps = (1,) if quadratic else NEWTON_STEPS
        newton = sum(k * hessian(rows) for k, rows in zip(steps, _sizes(m, D, model), strict=False))
        return Choice(m, passes, newton + passes * (once + 2 * D * D * 8 / BYTES))

    sizes = [m for m in (n >> i for i in range(n.bit_length())) if m >= 4 * D] or [n]
    found = [of(m) for m in sizes]
    if min(choice.seconds for choice in found) > PROBE:
        rate = min(float(_rate(np.zeros(shape), *_sample(data, min(n, max(2048, 2 * d)), 0), **how)), 0.99)
        passes = math.log(tolerance) / math.log(rate) + 2
        found.append(Choice(0, passes, passes * once))
    return tuple(sorted(found, key=lambda choice: choice.seconds))


def _sizes(m: int, D: int, model: str) -> tuple[int, ...]:
    """Rows of the samples that Newton's method runs on."""
    worth = model != "least squares" and m >= 4 * D * FIRST and m * D**2 >= WORTH
    return (m // FIRST, m) if worth else (m,)


def _in_words(choices: tuple[Choice, ...], n: int) -> str:
    def line(choice: Choice) -> str:
        name = "L-BFGS" if choice.rows == 0 else f"Hessians of {choice.rows} of {n} rows"
        if math.isnan(choice.seconds):
            return f"{name}, as asked for"
        return f"{name}: {choice.passes:.0f} passes, {choice.seconds:.3g} s expected"

    first, *others = [line(choice) for choice in choices]
    return "\n".join([f"chosen  {first}", *(f"        {other}" for other in others[:3])])


@partial(jax.jit, static_argnames=("loss", "intercept"))
def _rate(w, X, y, s, lam, *, loss: Kernel, intercept: bool):
    """By how much conjugate gradients shorten the residual of Newton's equation at w, per step."""
    how = {"weights": s, "intercept": intercept}
    residual = -loss.gradient(w, X, y, lam, **how)

    def step(_, state):
        residual, along, square = state
        image = loss.hvp(w, along, X, y, lam, **how)
        residual = residual - square / jnp.vdot(along, image) * image
        new = jnp.vdot(residual, residual)
        return residual, residual + new / square * along, new

    square = jnp.vdot(residual, residual)
    last = jax.lax.fori_loop(0, PROBED, step, (residual, residual, square))[2]
    return jnp.nan_to_num(jnp.clip((last / square) ** (0.5 / PROBED), 0.01), nan=0.01)


# The method --------------------------------------------------------------------------------------------------------
class _Here(NamedTuple):
    w: jax.Array
    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array | None


@partial(jax.jit, static_argnames=("loss", "intercept", "want"))
def _evaluated(w, X, y, s, lam, *, loss, intercept, want=("value", "gradient")) -> _Here:
    parts = loss.passes(w.astype(X.dtype), X, y, lam.astype(X.dtype), want=want, weights=s, intercept=intercept)
    value, gradient, hessian = (
        None if part is None else part.astype(float) for part in (parts.value, parts.gradient, parts.hessian)
    )
    return _Here(w, value, gradient, hessian)


def _on_samples(data, m, shape, bound, seed, model, how):
    """The end of Newton's method on m rows, and the Cholesky factor of the Hessian there."""
    D = math.prod(shape)
    for dtype in (np.float32, np.float64) if m * D**2 >= SINGLE else (np.float64,):
        w = np.zeros(shape)
        for rows in _sizes(m, D, model):
            w, factor, left = _newton(w, *_sample(data, rows, seed, dtype), np.float64(bound), **how)
        if left > DETERMINED:
            break
    return w, factor


@partial(jax.jit, static_argnames=("loss", "intercept"))
def _newton(w, X, y, s, lam, bound, *, loss, intercept):
    """The point at which the gradient norm is at most the bound, the Cholesky factor of the Hessian there, and what
    part of its own square the columns before it leave of a column, the least.
    """
    want = ("value", "gradient", "hessian")
    evaluate = lambda w: _evaluated(w, X, y, s, lam, loss=loss, intercept=intercept, want=want)
    direction = lambda here, _: -_solved(_factor(here.hessian), here.gradient)
    rounding = max(10 * float(jnp.finfo(X.dtype).eps), ROUNDING)
    here, *_ = _descent(evaluate, direction, lambda memory, *_: memory, (), evaluate(w), bound, 30, rounding)
    factor = _factor(here.hessian)
    left = jnp.min(jnp.diagonal(factor) ** 2 / jnp.sum(factor**2, axis=1))
    return here.w, factor, jnp.where(jnp.isfinite(left), left, 0.0)


@partial(jax.jit, static_argnames=("loss", "intercept"))
def _quasi_newton(here, factor, X, y, s, lam, bound, limit, *, loss, intercept):
    """Where it ends, the passes, and whether no step was short enough."""
    evaluate = lambda w: _evaluated(w, X, y, s, lam, loss=loss, intercept=intercept)
    metric: Callable
    if factor is None:
        gradient = here.gradient
        curved = jnp.vdot(gradient, loss.hvp(here.w, gradient, X, y, lam, weights=s, intercept=intercept))
        inverse = jnp.vdot(gradient, gradient) / jnp.where(curved > 0, curved, 1.0)
        metric = lambda q, scale: jnp.where(scale > 0, scale, inverse) * q
    else:
        metric = lambda q, _: _solved(factor, q)
    shape = here.w.shape
    empty = (jnp.zeros((MEMORY, *shape)), jnp.zeros((MEMORY, *shape)), jnp.zeros(MEMORY))
    direction = lambda here, memory: -_two_loops(here.gradient, memory, metric)
    here, passes, shrunk = _descent(evaluate, direction, _remembered, empty, here, bound, limit, ROUNDING)
    return here, passes, shrunk <= SHORTEST


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

    begun = (here, memory, direction(here, memory), jnp.ones(()), jnp.ones((), int))
    here, _, _, length, turns = jax.lax.while_loop(going, turn, begun)
    return here, turns, length


def _remembered(memory, step, change):
    """The pairs, the newest last; one without positive curvature is not kept."""
    product = jnp.vdot(step, change)
    kept = tuple(
        jnp.concatenate([old[1:], new[None]]) for old, new in zip(memory, (step, change, 1 / product), strict=True)
    )
    return jax.lax.cond(product > 0, lambda: kept, lambda: memory)


def _two_loops(gradient, memory, metric):
    """The inverse Hessian of L-BFGS times the gradient (Nocedal and Wright, algorithm 7.4)."""
    _, changes, inverse = memory

    def down(q, pair):
        s, y, rho = pair
        a = rho * jnp.vdot(s, q)
        return q - a * y, a

    q, parts = jax.lax.scan(down, gradient, memory, reverse=True)
    newest = inverse[-1] * jnp.vdot(changes[-1], changes[-1])
    q = metric(q, jnp.where(newest > 0, 1 / jnp.where(newest > 0, newest, 1.0), 0.0))

    def up(q, pair):
        (s, y, rho), a = pair
        return q + (a - rho * jnp.vdot(y, q)) * s, None

    return jax.lax.scan(up, q, (memory, parts))[0]


def _factor(H):
    D = math.prod(H.shape[: H.ndim // 2])
    H = H.reshape(D, D)
    return cholesky(H + RIDGE * jnp.trace(H) / D * jnp.eye(D), lower=True)


def _solved(factor, g):
    return cho_solve((factor, True), g.ravel()).reshape(g.shape)


# Data --------------------------------------------------------------------------------------------------------------
@functools.cache
def _kernel(model: str, delta: float) -> Kernel:
    made = kernel(huber, delta=delta) if model == "huber" else kernel(MODELS[model])
    return made._replace(mean=True)


def _sample(data, m: int, seed: int, dtype=np.float64):
    """m of the rows, of those with weight, in that precision."""
    X, y, s, lam = data
    if s is None and m == len(X) and X.dtype == dtype:
        return data
    usable = np.arange(len(X)) if s is None else np.flatnonzero(np.asarray(s) > 0)
    chosen = np.sort(np.random.default_rng(seed).choice(usable, min(m, len(usable)), replace=False))
    rows = slice(None) if len(chosen) == len(X) else chosen

    def taken(a):
        # On a CPU NumPy reads the memory of JAX, and takes rows of it faster.
        return a[rows].astype(dtype) if jax.default_backend() != "cpu" else on_device(np.asarray(a)[rows], dtype)

    return taken(X), taken(y), None if s is None else taken(s), lam


def _checked(model, X, y, weights, lam, delta, tolerance, limit):
    if model not in MODELS:
        raise InputError(f"model is {model!r}; allowed: {', '.join(MODELS)}")
    for name, number, least in (
        ("lam", lam, 0),
        ("tolerance", tolerance, 0),
        ("limit", limit, 1),
        ("delta", delta, 1e-300),
    ):
        if not (np.isfinite(number) and number >= least):
            raise InputError(f"{name} is {number}; allowed: {'above 0' if name == 'delta' else f'{least} or more'}")
    if np.ndim(X) != 2 or 0 in np.shape(X):
        raise InputError(f"X has shape {np.shape(X)}; it has n rows and d columns, at least one of each")
    wanted = 2 if model == "softmax" else 1
    if np.ndim(y) != wanted or len(y) != len(X):
        what = "n rows of K targets, one-hot or probabilities" if wanted == 2 else "n entries"
        raise InputError(f"y has shape {np.shape(y)} with X of shape {np.shape(X)}; for {model} it has {what}")
    if weights is not None and np.shape(weights) != (len(X),):
        raise InputError(f"weights has shape {np.shape(weights)}; with X of shape {np.shape(X)} it has {(len(X),)}")
    # X last: memory of arrays that are gone is let go at JAX's next call, and X may use it again.
    y, s = on_device(y), None if weights is None else on_device(weights)
    X = on_device(X)
    for name, array in (("X", X), ("y", y), ("weights", s)):
        # A sum that is finite has no summand that is not; only then each entry has to be looked at.
        if array is not None and not jnp.isfinite(jnp.sum(array)) and not (finite := jnp.isfinite(array)).all():
            place = ", ".join(str(int(i)) for i in np.argwhere(~np.asarray(finite))[0])
            raise InputError(f"{name}[{place}] is not finite; leave such rows out or give them a value")
    if s is not None and (float(jnp.min(s)) < 0 or float(jnp.max(s)) == 0):
        raise InputError("weights are negative or all zero; allowed: 0 or more, and one above 0")
    _targets(model, y)
    return X, y, s


def _targets(model: str, y: jax.Array) -> None:
    low, high = float(jnp.min(y)), float(jnp.max(y))
    if model == "logistic" and not 0 <= low <= high <= 1:
        raise InputError(f"y is from {low:g} to {high:g}; logistic regression takes 0 and 1, or probabilities")
    if model == "poisson" and low < 0:
        raise InputError(f"y has {low:g}; Poisson regression takes counts, 0 or more")
    if model == "softmax" and not (low >= 0 and jnp.allclose(jnp.sum(y, axis=1), 1.0)):
        raise InputError("rows of y are not of sum 1, or have negative entries; softmax regression takes one-hot rows")


def _one_minimum_at_most(X: jax.Array, s: jax.Array | None, intercept: bool) -> None:
    """Without a penalty columns that determine one another leave many minima."""
    used = X if s is None else X[np.asarray(s) > 0]
    full = jnp.concatenate([used, jnp.ones((len(used), 1))], axis=1) if intercept else used
    gram = np.asarray(full.T @ full)
    lengths = np.sqrt(np.diag(gram))
    lengths[lengths == 0] = 1.0
    values, vectors = np.linalg.eigh(gram / np.outer(lengths, lengths))
    if values[0] <= len(values) * np.finfo(float).eps * 4 or len(full) < full.shape[1]:
        involved = np.flatnonzero(np.abs(vectors[:, 0]) > 1e-6)[:6]
        names = ", ".join("the intercept" if intercept and j == X.shape[1] else f"column {j}" for j in involved)
        raise InputError(
            f"without a penalty there are many minima: X has {len(full)} rows with weight and "
            f"{full.shape[1]} columns, of which {names} determine one another; leave some out, or write lam above 0"
        )


def _has_minimum(data, w, gradient_norm, intercept) -> None:
    """Without a penalty separable classes leave the loss without a minimum, though its gradient becomes small."""
    X, y, s, _ = (None if part is None else np.asarray(part) for part in data)
    if not ((y == 0) | (y == 1)).all():
        return  # with probabilities between 0 and 1 there is always one
    keep = slice(None) if s is None else s > 0
    full = np.column_stack([X, np.ones(len(X))]) if intercept else X
    full, y = full[keep], y[keep]
    z = full @ np.asarray(w)
    if fit_existence.has_minimum(full, y, z, gradient_norm):
        return
    if fit_existence.separating_direction(full, y) is not None:
        raise InputError(
            "a direction separates the classes, so that without a penalty there is no minimum; write lam above 0"
        )


def _said(X: jax.Array, m: int, shape: tuple[int, ...]) -> None:
    """Memory that is not there is said before it is asked for."""
    D = math.prod(shape)
    needed = 8 * (3 * D * D * (m > 0) + 2 * MEMORY * D + (m < len(X)) * m * X.shape[1])
    free = _free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"the Hessian of {D} parameters and a sample of {m} rows take {needed / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB are free; rows=0 needs neither"
        )


def _free_memory() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
