r"""Smooth generalised linear models to a certificate, by a method that a cost model chooses.

The objective is a mean, $F(w) = \sum_i s_i \ell(x_i^\top w, y_i) / \sum_i s_i + \frac\lambda2 \|w\|^2$, for least
squares, Huber, logistic, Poisson and softmax regression; an intercept, the last row of w, is not penalised.

There is one method with one number. Newton's method runs on a sample of m rows, which is cheap, and ends where the
sample cannot tell any more. From there L-BFGS runs on all rows, each step one pass over X, in the metric of the
sample's last Hessian. With m = n that is Newton's method whose last steps are quasi-Newton steps; with m = 0 it is
L-BFGS. In between the spectrum of the preconditioned Hessian is within $(1 \pm \sqrt{D/m})^2$ for rows of equal
leverage, whatever the conditioning of the data, so that each pass gains about a factor $\sqrt{m/D}$ (Avron, Maymounkov
and Toledo, *Blendenpik*, 2010, for least squares; Erdogdu and Montanari, *Convergence rates of sub-sampled Newton
methods*, 2015).

The certificate is $\|\nabla F(w)\| / \|\nabla F(0)\|$, computed in float64 from all data after the run. With a penalty
$F(w) - F^\star \le \|\nabla F(w)\|^2 / 2\lambda$ where there is no intercept.
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
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, mean_squared_error, poisson
from jaxderiv.errors import InputError
from jaxderiv.kernels.glm import kernel
from jaxderiv.kernels.passes import Kernel

MODELS = {"least squares": mean_squared_error, "huber": huber, "logistic": logistic, "poisson": poisson,
          "softmax": softmax}  # fmt: skip

# The machine of the cost model: what experiments/derivative_cost.py measures on two cores. Only ratios matter.
FLOPS, BYTES, CALL = 4e10, 8e9, 2e-4  # per second, per second, seconds for each step besides
NEWTON_STEPS = 6  # on a sample, of a loss that is not quadratic
CHANGE = 0.03  # of the curvature between where Newton's method ends and the minimum
COARSE = 1e-3  # relative gradient norm at which Newton's method hands over
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
    with jax.enable_x64(True):
        X, y, s = _checked(model, X, y, weights, lam, delta, tolerance, limit)
        if lam == 0:
            _one_minimum_at_most(X, s, intercept)
        loss = _kernel(model, delta)
        shape = (X.shape[1] + intercept, *y.shape[1:])
        how: dict[str, Any] = {"loss": loss, "intercept": intercept}
        data = (X, y, s, jnp.float64(lam))
        choices = (
            _choices(model, data, shape, max(tolerance, 1e-16), how)
            if rows is None
            else (Choice(rows, math.nan, math.nan),)
        )
        m = min(choices[0].rows, len(X))
        _said(X, m, shape)
        report(_in_words(choices, len(X)))
        zero = jnp.zeros(shape)
        begun, first, _ = _evaluated(zero, *data, **how)
        size = float(jnp.linalg.norm(first))
        scale = size if size > 0 else 1.0
        w, factor = zero, None
        if m:
            part = data if m == len(X) else _sample(data, m, seed)
            w, factor = _newton(zero, *part, jnp.float64(COARSE * scale), **how)
            # A sample may have no minimum where all the rows have one.
            w = w if _evaluated(w, *data, **how)[0] < begun else zero
        if start is not None:
            w = jnp.asarray(start, dtype=float).reshape(shape)
        w, passes, short = _quasi_newton(w, factor, *data, jnp.float64(tolerance * scale), limit, **how)
        value, gradient, _ = _evaluated(w, *data, **how)
        certificate = float(jnp.linalg.norm(gradient)) / scale
        if not (np.isfinite(certificate) and np.isfinite(value)):
            stopped = "not finite"
        elif certificate <= tolerance:
            stopped = "converged"
        else:
            stopped = "stalled" if short else "limit"
        if lam == 0 and model in ("logistic", "softmax"):
            _has_minimum(data, w, certificate * scale, intercept)
        return Solution(np.asarray(w), float(value), certificate, int(passes) + 2, stopped, choices)


# The cost model ----------------------------------------------------------------------------------------------------
def _choices(model, data, shape, tolerance, how) -> tuple[Choice, ...]:
    """Samples of n, n/2, n/4 ... rows, and of none if the others are dear; the cheapest first."""
    n, d = data[0].shape
    D, K = math.prod(shape), math.prod(shape[1:])
    once = max(n * d * 8 / BYTES, 4 * n * d * K / FLOPS) + CALL
    steps = 1 if model == "least squares" else NEWTON_STEPS
    products = max(1, K * (K - 1) // 2)

    def of(m: int) -> Choice:
        missed = math.sqrt(D / m * (1 - m / n)) + (CHANGE if steps > 1 else 1e-8)
        passes = math.log(tolerance) / math.log(min(missed, 0.98)) + 2
        newton = steps * (products * m * d * (d + 1) / FLOPS + D**3 / 3 / FLOPS + CALL)
        return Choice(m, passes, newton + passes * (once + D * D * 2 / FLOPS))

    sizes = [m for m in (n >> i for i in range(n.bit_length())) if m >= 4 * D] or [n]
    found = [of(m) for m in sizes]
    if min(choice.seconds for choice in found) > 0.05:
        rate = min(float(_rate(jnp.zeros(shape), *_sample(data, min(n, max(2048, 2 * d)), 0), **how)), 0.99)
        passes = math.log(tolerance) / math.log(rate) + 2
        found.append(Choice(0, passes, passes * once))
    return tuple(sorted(found, key=lambda choice: choice.seconds))


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
def _evaluated(w, X, y, s, lam, *, loss, intercept, want=("value", "gradient")):
    parts = loss.passes(w, X, y, lam, want=want, weights=s, intercept=intercept)
    return parts.value, parts.gradient, parts.hessian


@partial(jax.jit, static_argnames=("loss", "intercept"))
def _newton(w, X, y, s, lam, bound, *, loss, intercept):
    """The point at which the gradient norm is at most the bound, and the Cholesky factor of the Hessian there."""
    want = ("value", "gradient", "hessian")
    evaluate = lambda w: _Here(w, *_evaluated(w, X, y, s, lam, loss=loss, intercept=intercept, want=want))
    direction = lambda here, _: -_solved(_factor(here.hessian), here.gradient)
    here, *_ = _descent(evaluate, direction, lambda memory, *_: memory, (), w, bound, 30)
    return here.w, _factor(here.hessian)


@partial(jax.jit, static_argnames=("loss", "intercept"))
def _quasi_newton(w, factor, X, y, s, lam, bound, limit, *, loss, intercept):
    """The last point, the passes, and whether no step was short enough."""
    evaluate = lambda w: _Here(w, *_evaluated(w, X, y, s, lam, loss=loss, intercept=intercept))
    metric: Callable
    if factor is None:
        gradient = loss.gradient(w, X, y, lam, weights=s, intercept=intercept)
        curved = jnp.vdot(gradient, loss.hvp(w, gradient, X, y, lam, weights=s, intercept=intercept))
        inverse = jnp.vdot(gradient, gradient) / jnp.where(curved > 0, curved, 1.0)
        metric = lambda q, scale: jnp.where(scale > 0, scale, inverse) * q
    else:
        metric = lambda q, _: _solved(factor, q)
    empty = (jnp.zeros((MEMORY, *w.shape)), jnp.zeros((MEMORY, *w.shape)), jnp.zeros(MEMORY))
    direction = lambda here, memory: -_two_loops(here.gradient, memory, metric)
    here, passes, shrunk = _descent(evaluate, direction, _remembered, empty, w, bound, limit)
    return here.w, passes, shrunk <= SHORTEST


SHORTEST = 2.0**-40  # part of a step below which there is nothing to be gained


def _descent(evaluate, direction, remember, memory, w, bound, limit):
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
        level = there.value <= here.value + 1e-12 * jnp.abs(here.value)
        level &= jnp.abs(jnp.vdot(there.gradient, along)) <= 0.9 * jnp.abs(slope)

        def step():
            known = remember(memory, length * along, there.gradient - here.gradient)
            return there, known, direction(there, known), jnp.ones(()), turns + 1

        return jax.lax.cond(lower | level, step, lambda: (here, memory, along, length / 2, turns + 1))

    here = evaluate(w)
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


def _sample(data, m: int, seed: int):
    """m of the rows, of those with weight."""
    X, y, s, lam = data
    usable = np.arange(len(X)) if s is None else np.flatnonzero(np.asarray(s) > 0)
    chosen = np.sort(np.random.default_rng(seed).choice(usable, min(m, len(usable)), replace=False))
    return X[chosen], y[chosen], None if s is None else s[chosen], lam


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
    X, y = jnp.asarray(X, dtype=float), jnp.asarray(y, dtype=float)
    s = None if weights is None else jnp.asarray(weights, dtype=float)
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
