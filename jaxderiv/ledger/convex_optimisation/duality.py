r"""Convex problems, Lagrangians and dual functions.

The problem: minimise f(x) subject to $g(x) \le 0$ and $h(x) = 0$; the dual function
$d(\lambda, \nu) = \inf_x L(x, \lambda, \nu)$, to be maximised over $\lambda \ge 0$.

Source: ML Math Derivations, part 4, "Duality".
"""

import jax.numpy as jnp

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveSemidefinite, Real, Share, Symmetric, d, m
from jaxderiv.ledger.notation import quadratic
from jaxderiv.theorem import IMPR, TRUE, at_most, equal, statement

problem = statement(
    "C4.71",
    TRUE,
    r"A convex problem: minimise a convex f subject to $g_i(x) \le 0$, every $g_i$ convex, and $h_j(x) = 0$, every "
    "$h_j$ affine.",
)


def feasible_mixture(x, y, share, A, a, slack):
    r"""g and h between two feasible points x and y, for $g(x) = \frac12 x^\top A x - c$ and $h(x) = a^\top (x -
    x_0)$"""
    y = y - a * (a @ (y - x)) / (a @ a)
    g = lambda z: quadratic(A)(z) - jnp.maximum(quadratic(A)(x), quadratic(A)(y)) - slack
    between = share * x + (1 - share) * y
    size = abs(quadratic(A)(x)) + abs(quadratic(A)(y)) + slack
    return at_most(g(between), 0.0, size), equal(a @ between, a @ x)


@problem.true
def feasible_set_is_convex(
    x: Real[Array, d], y: Real[Array, d], share: Share[Array, ()],
    A: PositiveSemidefinite[Array, d, d], a: Real[Array, d], slack: Nonnegative[Array, ()],
):  # fmt: skip
    "A mixture of two feasible points is feasible"
    return feasible_mixture(x, y, share, A, a, slack)


@problem.control
def feasible_set_of_a_constraint_that_is_not_convex(
    x: Real[Array, d], y: Real[Array, d], share: Share[Array, ()],
    A: Symmetric[Array, d, d], a: Real[Array, d], slack: Nonnegative[Array, ()],
):  # fmt: skip
    "The same for a quadratic g with negative curvature"
    return feasible_mixture(x, y, share, A, a, slack)


@problem.control
def feasible_set_of_an_equation_that_is_not_affine(
    angle: Real[Array, ()], other: Real[Array, ()], share: Share[Array, ()]
):
    r"A mixture of two points with $h(x) = \|x\|^2 - 1 = 0$, where h is convex, has h = 0"
    point = lambda angle: jnp.array([jnp.cos(angle), jnp.sin(angle)])
    between = share * point(angle) + (1 - share) * point(other)
    return equal(between @ between, 1.0)


lagrangian = statement(
    "C4.72",
    TRUE,
    r"The Lagrangian adds the constraints at a price, $L(x, \lambda, \nu) = f(x) + \sum_i \lambda_i g_i(x) + \sum_j "
    r"\nu_j h_j(x)$ with $\lambda \ge 0$ and $\nu$ free.",
)


@lagrangian.true
def price_of_a_feasible_point(
    f: Real[Array, ()], slack: Nonnegative[Array, m], lam: Nonnegative[Array, m], nu: Real[Array, d]
):
    r"$L \le f$ where $g = -$slack $\le 0$ and h = 0, with equality for $\lambda = 0$: so $\sup_{\lambda, \nu} L = f$"
    L = lambda lam: f - lam @ slack + nu @ jnp.zeros_like(nu)
    return at_most(L(lam), f, abs(f) + lam @ slack), equal(L(0 * lam), f)


@lagrangian.true
def price_of_an_infeasible_point(f: Real[Array, ()], g: Real[Array, m], h: Real[Array, d], t: Positive[Array, ()]):
    r"""At the prices $\lambda = t \max(g, 0)$, $\nu = t h$ it is $f + t (\|\max(g, 0)\|^2 + \|h\|^2)$: so $\sup L =
    \infty$"""
    lam, nu = t * jnp.maximum(g, 0), t * h
    violation = jnp.sum(jnp.where(g > 0, g, 0.0) ** 2) + h @ h
    return equal(f + lam @ g + nu @ h, f + t * violation)


@lagrangian.control
def price_of_either_sign(f: Real[Array, ()], slack: Nonnegative[Array, m], lam: Real[Array, m]):
    r"$L \le f$ at a feasible point without $\lambda \ge 0$"
    return at_most(f - lam @ slack, f)


concave = statement(
    "C4.73",
    IMPR,
    "The dual function is concave, whatever the primal: it is a pointwise minimum of affine functions of "
    r"$(\lambda, \nu)$.",
    r"It is an infimum, which need not be attained: of $e^{-x}$ subject to $-x \le 0$ the Lagrangian at $\lambda = "
    r"0$ has the infimum 0 and no minimiser; and it may be $-\infty$. It is concave all the same.",
)


@concave.as_worded
def minimum_attained(x: Real[Array, ()], z: Real[Array, ()]):
    r"A point x attains the infimum of $L(x, 0) = e^{-x}$: no z is below"
    return at_most(jnp.exp(-x), jnp.exp(-z))


@concave.true
def minimum_never_attained(x: Real[Array, ()]):
    r"Whatever x, one further on is lower: $e^{-(x + 1)} \le \frac12 e^{-x}$"
    return at_most(jnp.exp(-(x + 1)), jnp.exp(-x) / 2)


@concave.true
def without_bound(lam: Positive[Array, ()], bound: Positive[Array, ()]):
    r"With $\lambda > 0$ its Lagrangian $e^{-x} - \lambda x$ falls below every bound: $d(\lambda) = -\infty$"
    x = (1 + bound) / lam
    return at_most(jnp.exp(-x) - lam * x, -bound)


@concave.true
def of_any_finite_primal(
    f: Real[Array, m],
    g: Real[Array, m, d],
    lam: Nonnegative[Array, d],
    other: Nonnegative[Array, d],
    share: Share[Array, ()],
):
    r"$d(\lambda) = \min_i (f_i + \lambda^\top g_i)$ lies above its chords, for every finite set of points $(g_i, f_i)$"
    dual = lambda lam: jnp.min(f + g @ lam)
    chord = share * dual(lam) + (1 - share) * dual(other)
    return at_most(chord, dual(share * lam + (1 - share) * other), jnp.max(abs(f)) + jnp.max(abs(g) @ (lam + other)))


def tilted_well(slope):
    r"""The minimiser of $(x^2 - 1)^2 + s x$: of the roots of $4 x^3 - 4 x + s$ the outermost, opposite to s (Vieta)"""
    c = 3 * jnp.sqrt(3.0) / 8 * abs(slope)
    three, one = jnp.minimum(c, 1.0), jnp.maximum(c, 1.0)  # real roots
    size = jnp.where(c < 1, jnp.cos(jnp.arccos(three) / 3), jnp.cosh(jnp.log(one + jnp.sqrt(one**2 - 1)) / 3))
    return jnp.where(slope > 0, -2.0, 2.0) / jnp.sqrt(3.0) * size


@concave.true
def of_a_double_well(
    lam: Nonnegative[Array, ()], other: Nonnegative[Array, ()], share: Share[Array, ()], x: Real[Array, ()]
):
    r"$d(\lambda) = \min_x (x^2 - 1)^2 + \lambda (x - \frac12)$ is the least value, and lies above its chords"
    L = lambda x, lam: (x**2 - 1) ** 2 + lam * (x - 0.5)
    dual = lambda lam: L(tilted_well(lam), lam)
    chord = share * dual(lam) + (1 - share) * dual(other)
    size = 1 + x**4 + (lam + other) * (1 + abs(x) + jnp.cbrt(lam + other))
    return at_most(chord, dual(share * lam + (1 - share) * other), size), at_most(dual(lam), L(x, lam), size)
