r"""Minimisers: what convexity says of them and what it does not, and the egg carton, which is not convex.

Convexity makes every local minimiser global. That there is one, that there is only one, and that a method finds it, are
three more claims, each with its own hypothesis.

Source: ML Math Derivations, part 4, "Convex sets", "Convex functions" and figure 2.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from jaxderiv.domains import Array, PositiveDefinite, Positive, Real, Share, Simplex, UnitInterval, d, m
from jaxderiv.ledger.convex_optimisation.convex_functions import largest_affine, mix, soft_largest_affine
from jaxderiv.ledger.notation import Function, gradient_descent, iterates, quadratic
from jaxderiv.theorem import FALSE, TRUE, at_most, close, equal, holds, statement


def carton(x):
    r"""$\sin 2x_1 \cos 2x_2 + 0.15\,\|x\|^2$, an egg carton in a bowl"""
    return jnp.sin(2 * x[0]) * jnp.cos(2 * x[1]) + 0.15 * (x @ x)


def flat_bottom(x):
    r"""$\max(|x| - 1, 0)$, convex and least on all of $[-1, 1]$"""
    return jnp.maximum(abs(x) - 1, 0.0)


local_is_global = statement(
    "C4.01",
    TRUE,
    r"If $f$ is convex on a convex set $C$, a point where $f$ is least among its neighbours in $C$ is where it is least in $C$.",
)


@local_is_global.true
def better_nearby(
    x: Simplex[Array, d], y: Simplex[Array, d], radius: Positive[Array, ()], A: Real[Array, m, d], b: Real[Array, m]
):
    r"""If y is better than x, so is the point of [x, y] at distance $\min(r, \|y - x\|)$, by that share of $f(x) - f(y)$"""
    f, distance = largest_affine(A, b), jnp.sqrt((y - x) @ (y - x))
    share = jnp.minimum(1.0, radius / jnp.where(distance > 0, distance, 1.0))
    nearby = mix(y, x, share)
    return at_most(share * (f(x) - f(y)), f(x) - f(nearby)), at_most((nearby - x) @ (nearby - x), radius**2)


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
    f = soft_largest_affine(jnp.array(rng.standard_normal((6, 3))), jnp.array(rng.standard_normal(6)))
    return at_most(np.ptp(lowest_found(f, rng, 1.0, 3)), 1e-6)


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
    r"A convex bowl has exactly one minimum and any descent method finds it; on a carton a descent gets stuck for good.",
    but=r"Existence needs more than convexity ($e^x$ has no minimiser; lower semicontinuous and coercive is enough), and so "
    r"does uniqueness ($\max(|x| - 1, 0)$; strictly convex is enough). A method may decrease $f$ at every step and still "
    r"converge elsewhere: gradient descent arrives if its step is fixed below $2/L$. And on a carton, a start in the right "
    r"hollow leads to the global minimum.",
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
def gradient_descent_arrives(x: Real[Array, d], A: PositiveDefinite[Array, d, d], share: UnitInterval[Array, ()]):
    r"""$f(x_k) \le \rho^{2k} f(x_0)$, $\rho = \max(|1 - \alpha\mu|, |1 - \alpha L|) < 1$, for the step $\alpha \in (0, 2/L)$"""
    spectrum, f = jnp.linalg.eigvalsh(A), quadratic(A)
    rate = 2 * share / spectrum[-1]
    values = jax.vmap(f)(gradient_descent(f, x, rate, 15))
    factor = jnp.maximum(abs(1 - rate * spectrum[0]), abs(1 - rate * spectrum[-1]))
    return at_most(values, factor ** (2 * jnp.arange(16.0)) * f(x)), at_most(factor, 1.0)


def after_descent_on_the_carton() -> Array:
    """Where gradient descent ends, from a start in the hollow of the global minimum and from one in another."""
    starts = jnp.array([[-0.4, 0.3], [0.4, 1.2]])
    return jax.vmap(lambda start: carton(gradient_descent(carton, start, 0.1, 100)[-1]))(starts)


@bowl.as_worded
def carton_is_a_trap():
    r"""On the carton, gradient descent stays above the least value, -0.9139, by more than 0.1 from every start"""
    return at_most(-0.9139 + 0.1, after_descent_on_the_carton())


@bowl.true
def trapped_or_not():
    r"""It ends at the least value or at another local minimum: the start decides"""
    ends = after_descent_on_the_carton()
    return close(ends[0], -0.9139, 5e-5), close(ends[1], -0.5699, 5e-5)


at_most_one = statement("C4.11", TRUE, r"A strictly convex function has at most one minimiser.")


@at_most_one.true
def midpoint_is_lower(x: Real[Array, ()], y: Real[Array, ()]):
    r"""$f(\frac{x + y}2) + (\frac{x - y}2)^4 \le \max(f(x), f(y))$ for $f(x) = x^4$: two points cannot both be lowest"""
    f = lambda x: x**4
    return at_most(f((x + y) / 2) + f((x - y) / 2), jnp.maximum(f(x), f(y)))


@at_most_one.true
def midpoint_is_lower_by_the_distance(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d]):
    r"""The same by $\frac18 \|x - y\|^2$ for $f(x) = \log \sum_i e^{a_i^\top x} + \frac12 \|x\|^2$"""
    f = lambda x: soft_largest_affine(A, jnp.zeros(len(A)))(x) + x @ x / 2
    return at_most(f((x + y) / 2) + (x - y) @ (x - y) / 8, jnp.maximum(f(x), f(y)))


@at_most_one.control
def midpoint_of_the_flat_bottom(x: Real[Array, ()], y: Real[Array, ()]):
    r"""Without strictness: $\max(|x| - 1, 0)$ is lower halfway between any two points"""
    higher = jnp.maximum(flat_bottom(x), flat_bottom(y))
    return holds((flat_bottom((x + y) / 2) < higher) | (x == y))


figure = statement(
    "C4.112",
    FALSE,
    r"Figure 2: on $\sin 2x \cos 2y + 0.15 (x^2 + y^2)$, $(\mp 0.78, \pm 0.78)$ are the global and a local minimum, at a height "
    r"of -0.85.",
    but=r"Neither is stationary, and $f$ is 0.172 and 0.193 there. The global minimum is $(-0.731, 0)$ with $f = -0.914$; "
    r"the other minima in $[-2.2, 2.2]^2$ are $(0.729, \pm 1.460)$ with $-0.570$, $(2.189, 0)$ with $-0.226$ and "
    r"$(-2.184, \pm 1.454)$ with $0.117$.",
)
MARKED = jnp.array([[-0.78, 0.78], [0.78, -0.78]])


@figure.as_worded
def marked_points_are_stationary():
    r"""The gradient at the marked points is zero to the two digits that they are given with (curvature: at most 4.3)"""
    return at_most(jnp.linalg.norm(jax.vmap(jax.grad(carton))(MARKED), axis=1), 4.3 * 0.01)


@figure.as_worded
def marked_points_are_low():
    r"""Their height is -0.85"""
    return close(jax.vmap(carton)(MARKED), -0.85, 0.005)


@figure.true
def heights_of_the_marked_points():
    r"""Their heights are 0.172 and 0.193"""
    return close(jax.vmap(carton)(MARKED), jnp.array([0.172, 0.193]), 5e-4)


@figure.true
def minima():
    r"""Newton's method from 2025 starts in $[-2.2, 2.2]^2$: the limits with a positive definite Hessian, lowest first"""
    newton = lambda x: x - jnp.linalg.solve(jax.hessian(carton)(x), jax.grad(carton)(x))
    starts = jnp.stack(jnp.meshgrid(*[jnp.linspace(-2.2, 2.2, 45)] * 2), axis=-1).reshape(-1, 2)
    ends = jax.jit(jax.vmap(lambda start: iterates(newton, start, 40)[-1]))(starts)
    bent = jnp.all(jnp.linalg.eigvalsh(jax.vmap(jax.hessian(carton))(ends)) > 0, axis=1)
    rest = jnp.linalg.norm(jax.vmap(jax.grad(carton))(ends), axis=1) < 1e-12
    found = np.unique(np.round(ends[bent & rest & jnp.all(abs(ends) <= 2.2, axis=1)], 6) + 0.0, axis=0)
    heights = np.array(jax.vmap(carton)(jnp.array(found)))
    order = np.lexsort((found[:, 1], heights.round(6)))
    printed = [[-0.731, 0], [0.729, -1.460], [0.729, 1.460], [2.189, 0], [-2.184, -1.454], [-2.184, 1.454]]
    levels = [-0.9139, -0.5699, -0.5699, -0.2259, 0.1169, 0.1169]
    return close(found[order], np.array(printed), 5e-4 + 1e-6), close(heights[order], np.array(levels), 5e-5)


@figure.true
def above_its_valley(x: Real[Array, 2]):
    r"""$f(x, y) \ge -|\sin 2x| + 0.15 x^2$, attained at $y = 0$ for $x \in (-\frac\pi2, 0)$: the least value has $y = 0$"""
    return at_most(-abs(jnp.sin(2 * x[0])) + 0.15 * x[0] ** 2, carton(x), scale=1 + x @ x)


@figure.true
def lowest_of_the_valley():
    r"""On that line, $|x| > 0.758$ gives more than $-1 + 0.15 x^2 > -0.9139$, and inside of it -0.9139 at -0.731 is least"""
    line = np.linspace(-0.758, 0, 75_801)
    valley = np.sin(2 * line) + 0.15 * line**2
    return close(line[np.argmin(valley)], -0.731, 5e-4), close(valley.min(), -0.9139, 5e-5), at_most(-0.9139, -1 + 0.15 * 0.758**2)
