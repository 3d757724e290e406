r"""Minimisers: what convexity says of them, and what it does not.

Convexity makes every local minimiser global. That there is one, that there is only one, and that a method finds it, are
three more claims, each with its own hypothesis.

Source: ML Math Derivations, part 4, "Convex sets" and "Convex functions".
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from jaxderiv.domains import Array, Positive, Real, Share, Simplex, UnitInterval, d, m
from jaxderiv.ledger.convex_optimisation.convex_functions import hyperbolas, largest_affine, mix
from jaxderiv.ledger.convex_optimisation.egg_carton import carton
from jaxderiv.ledger.notation import Function, gradient_descent, iterates
from jaxderiv.theorem import FALSE, TRUE, at_most, close, holds, statement


def flat_bottom(x):
    r"""$\max(|x| - 1, 0)$, convex and least on all of $[-1, 1]$"""
    return jnp.maximum(abs(x) - 1, 0.0)


local_is_global = statement(
    "C4.01",
    TRUE,
    r"If $f$ is convex on a convex set $C$, a point that is lowest among its neighbours in $C$ is lowest in $C$.",
)


@local_is_global.true(sizes={"d": 3, "m": 6})
def better_nearby(
    x: Simplex[Array, d], y: Simplex[Array, d], radius: Positive[Array, ()], A: Real[Array, m, d], b: Real[Array, m]
):
    r"""If y is better than x, so is the point of [x, y] at distance $\min(r, \|y - x\|)$, by that share of the gain"""
    f, distance = largest_affine(A, b), jnp.sqrt((y - x) @ (y - x))
    share = jnp.minimum(1.0, radius / jnp.where(distance > 0, distance, 1.0))
    return at_most(share * (f(x) - f(y)), f(x) - f(mix(y, x, share)))


def lowest_found(f: Function, rng, half_width: float, dimensions: int) -> np.ndarray:
    """The values at which local searches from a dozen random starts in a box end."""
    descend = jax.jit(jax.value_and_grad(f))
    search = functools.partial(
        minimize, jac=True, method="L-BFGS-B", bounds=[(-half_width, half_width)] * dimensions, options={"ftol": 1e-14}
    )
    starts = rng.uniform(-half_width, half_width, (12, dimensions))
    return np.array([search(lambda x: tuple(map(np.asarray, descend(x))), start).fun for start in starts])


@local_is_global.true
def local_searches(rng):
    r"""In a cube, local searches for the least value of a convex function all end at the same value"""
    f, tilt = hyperbolas(jnp.array(rng.standard_normal((6, 3)))), jnp.array(3 * rng.standard_normal(3))
    return at_most(np.ptp(lowest_found(lambda x: f(x) + tilt @ x, rng, 1.0, 3)), 1e-6)


@local_is_global.control
def local_searches_on_a_carton(rng):
    r"""On the egg carton, which is not convex, they do not"""
    return at_most(np.ptp(lowest_found(carton, rng, 2.2, 2)), 1e-6)


@local_is_global.control
def on_two_intervals(s: Share[Array, ()]):
    r"""On $[-1, 0] \cup [1, 2]$, which is not convex, 0 is a local minimiser of $(x - 1.2)^2$ but not a global one"""
    f = lambda x: (x - 1.2) ** 2
    return at_most(f(0.0), f(1 + s))


bowl = statement(
    "C4.10",
    FALSE,
    r"A convex bowl has exactly one minimum and any descent method finds it; on an egg carton it gets stuck for good.",
    but=r"Existence needs more than convexity ($e^x$ has no minimiser; lower semicontinuous and coercive is enough), "
    r"and so does uniqueness ($\max(|x| - 1, 0)$; strictly convex is enough). A method may decrease $f$ at every "
    r"step and still converge elsewhere: gradient descent arrives if its step is fixed below $2/L$. And on a "
    r"carton, a start in the right hollow leads to the global minimum.",
)


@bowl.as_worded
def only_one_point_is_lowest(x: Real[Array, ()]):
    r"""$\max(|x| - 1, 0)$ is larger at every other point than at 0"""
    return holds((flat_bottom(x) > flat_bottom(0.0)) | (x == 0))


@bowl.true
def exponential_has_no_lowest_point(x: Real[Array, ()]):
    r"""$e^{x - 1} \le \frac12 e^x$: every point has one that is lower"""
    return at_most(jnp.exp(x - 1), jnp.exp(x) / 2)


def lazy_descent() -> Array:
    """Iterates that halve their distance from 1, and so never come to 0, where their square is least."""
    return iterates(lambda x: (1 + x) / 2, 2.0, 40)


@bowl.as_worded
def any_descent_arrives():
    r"""A sequence along which $x^2$ decreases, such as $1 + 2^{-k}$, comes near its minimum"""
    return at_most(lazy_descent()[-1] ** 2, 0.1)


@bowl.true
def lazy_descent_descends():
    r"""Along $x_k = 1 + 2^{-k}$, $x^2$ does decrease at every step, towards 1"""
    values = lazy_descent() ** 2
    return holds(values[1:] < values[:-1]), close(values[-1], 1, 1e-9)


@bowl.true
def gradient_descent_arrives(x: Real[Array, 3], spectrum: Positive[Array, 3], share: UnitInterval[Array, ()]):
    r"""$f(x_k) \le \rho^{2k} f(x_0)$ with $\rho = \max(|1 - \alpha\mu|, |1 - \alpha L|) < 1$ for a quadratic f and a
    step $\alpha < 2/L$"""
    f, rate = lambda x: x @ (spectrum * x) / 2, 2 * share / jnp.max(spectrum)
    factor = jnp.max(abs(1 - rate * spectrum))
    values = jax.vmap(f)(gradient_descent(f, x, rate, 12))
    return at_most(values, factor ** (2 * jnp.arange(13.0)) * f(x)), at_most(factor, 1.0)


def after_descent_on_the_carton() -> Array:
    """Where gradient descent ends, from a start in the hollow of the global minimum and from one in another."""
    starts = jnp.array([[-0.4, 0.3], [0.4, 1.2]])
    return jax.vmap(lambda start: carton(gradient_descent(carton, start, 0.1, 100)[-1]))(starts)


@bowl.as_worded
def carton_is_a_trap():
    r"""On the carton, gradient descent stays above the least value, -0.9139, by more than 0.1 from every start"""
    return at_most(-0.8139, after_descent_on_the_carton())


@bowl.true
def trapped_or_not():
    r"""It ends at the least value or at another local minimum: the start decides"""
    ends = after_descent_on_the_carton()
    return close(ends[0], -0.9139, 5e-5), close(ends[1], -0.5699, 5e-5)


at_most_one = statement("C4.11", TRUE, r"A strictly convex function has at most one minimiser.")


@at_most_one.true
def midpoint_is_lower(x: Real[Array, ()], y: Real[Array, ()]):
    r"""$f(\frac{x + y}2) + f(\frac{x - y}2) \le \max(f(x), f(y))$ for $f(x) = x^4$: no two points are both lowest"""
    f = lambda x: x**4
    return at_most(f((x + y) / 2) + f((x - y) / 2), jnp.maximum(f(x), f(y)))


@at_most_one.true(sizes={"d": 3, "m": 6})
def midpoint_is_lower_by_the_distance(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d], b: Real[Array, m]):
    r"""The same by $\frac18 \|x - y\|^2$ for $f(x) = \max_i\,(a_i^\top x + b_i) + \frac12 \|x\|^2$, which has kinks"""
    f = lambda x: largest_affine(A, b)(x) + x @ x / 2
    return at_most(f((x + y) / 2) + (x - y) @ (x - y) / 8, jnp.maximum(f(x), f(y)))


@at_most_one.control
def midpoint_of_the_flat_bottom(x: Real[Array, ()], y: Real[Array, ()]):
    r"""Without strictness: $\max(|x| - 1, 0)$ is lower halfway between any two points"""
    higher = jnp.maximum(flat_bottom(x), flat_bottom(y))
    return holds((flat_bottom((x + y) / 2) < higher) | (x == y))
