"""Steps to a minimum: along a direction, by L-BFGS with a metric, and by conjugate gradients for a quadratic."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, cholesky, solve_triangular

from experiments.solvers.costs import MEMORY

SHORTEST = 2.0**-40  # part of a step below which there is nothing to be gained
ROUNDING = 1e-12  # relative, of a value in double precision
RIDGE = 1e-13  # of the mean of the Hessian's diagonal, added to its diagonal where it may be singular


class Here(NamedTuple):
    w: jax.Array
    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array | None


def norm(here: Here) -> float:
    return float(np.linalg.norm(here.gradient))


def shrunk(origin: Here, there: Here) -> float:
    """The minimum between 0 and w, of the cubic that has the values and slopes of both ends.

    Samples with few of one class are fitted by a w that is too long (Sur and Candès, *A modern maximum-likelihood
    theory*, 2019).
    """
    begun, ended = (float(np.vdot(point.gradient, there.w)) for point in (origin, there))
    mean = begun + ended + 3 * (float(origin.value) - float(there.value))
    root = math.sqrt(max(mean**2 - begun * ended, 0.0))
    bent = ended - begun + 2 * root
    return 1 - (ended + root - mean) / bent if begun < 0 < ended and math.isfinite(bent) else 1.0


def no_pairs(shape):
    return np.zeros((MEMORY, *shape)), np.zeros((MEMORY, *shape))


def newest(pairs):
    return jnp.vdot(pairs[0][-1], pairs[1][-1])


def descent(evaluate, direction, remember, memory, here, bound, limit, rounding):
    """Steps along a direction, halved until the loss decreases enough; each turn evaluates once.

    A loss that is not negative allows no quadratic along the direction whose minimum is below 0: where that begins,
    whose curvature is not to be trusted. Where the loss cannot resolve a decrease any more, the slope along the step
    tells (Hager and Zhang, 2005).
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
            return there, known, bounded(there, direction(there, known)), jnp.ones(()), turns + 1

        return jax.lax.cond(lower | level, step, lambda: (here, memory, along, length / 2, turns + 1))

    def bounded(here, along):
        most, slope = 2 * here.value, jnp.abs(jnp.vdot(here.gradient, along))
        return along * jnp.where((most > 0) & (slope > most), most / slope, 1.0)

    begun = (here, memory, bounded(here, direction(here, memory)), jnp.ones(()), jnp.zeros((), int))
    here, memory, _, length, turns = jax.lax.while_loop(going, turn, begun)
    return here, memory, turns, length


def remembered(memory, step, change):
    """The pairs, the newest last; one without positive curvature is not kept."""
    kept = tuple(jnp.concatenate([old[1:], new[None]]) for old, new in zip(memory, (step, change), strict=True))
    return jax.lax.cond(jnp.vdot(step, change) > 0, lambda: kept, lambda: memory)


def inverse_times(gradient, memory, solved, scaled, first):
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
def factor_of(H):
    D = math.prod(H.shape[: H.ndim // 2])
    H = H.reshape(D, D)
    return cholesky(H + RIDGE * jnp.trace(H) / D * jnp.eye(D), lower=True)


def solved_by(factor, g):
    """A factor with fewer rows than g has entries is that of each class."""
    return cho_solve((factor, True), g.reshape(len(factor), -1)).reshape(g.shape)
