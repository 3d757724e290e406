r"""Curvature: convexity by the Hessian, strict convexity, and least squares.

By how much a function exceeds its tangents, or falls short of its chords, is a mean of its curvature on the way: shown
in exact arithmetic for polynomials.

Source: ML Math Derivations, part 4, "Convex functions"; part 5 for least squares.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Positive, PositiveSemidefinite, Real, Share, Sign, Symmetric, d, m, n
from jaxderiv.ledger.convex_optimisation.convex_functions import below_chord, mix
from jaxderiv.ledger.convex_optimisation.tangents import quartic, tangent
from jaxderiv.theorem import HYP, TRUE, at_most, equal, holds, statement


def along(f, x, v):
    r"""$v^\top \nabla^2 f(x)\, v$, the curvature of f at x along v"""
    slope = lambda x: jax.jvp(f, (x,), (v,))[1]
    return jax.jvp(slope, (x,), (v,))[1]


second_order = statement(
    "C4.15",
    HYP,
    r"A twice continuously differentiable $f$ is convex exactly if $\nabla^2 f \succeq 0$ everywhere.",
    but=r"The domain has to be open and convex: $1/x^2$ has a positive second derivative on all of its domain, "
    r"$\mathbb R \setminus \{0\}$, and is not convex.",
)


@second_order.true
def excess_over_the_tangent(x: Real[Array, d], y: Real[Array, d], A: Real[Array, m, d], b: Real[Array, d]):
    r"""$f(y)$ exceeds the tangent at x by $\int_0^1 (1 - t)\, v^\top \nabla^2 f(x + tv)\, v\, dt$, $v = y - x$;
    Simpson's rule is exact for a quartic: $\frac16 v^\top \nabla^2 f(x)\, v$ plus $\frac13$ of the same at
    $x + \frac v2$"""
    f, v = quartic(A, b), y - x
    return equal(f(y) - tangent(f, x, y), along(f, x, v) / 6 + along(f, x + v / 2, v) / 3)


@second_order.true
def depth_below_the_chord(x: Real[Array, d], y: Real[Array, d], lam: Real[Array, ()], A: Symmetric[Array, d, d]):
    r"""A quadratic is below its chord by $\frac12 \lambda (1 - \lambda) (x - y)^\top \nabla^2 f\, (x - y)$: convex
    exactly if this is never negative"""
    f, v = lambda x: x @ A @ x / 2, x - y
    return equal(mix(f(x), f(y), lam) - f(mix(x, y, lam)), lam * (1 - lam) / 2 * (v @ jax.hessian(f)(x) @ v))


second_order.line("classification/logistic", "curvature_along")


def inverse_square(x):
    r"""$1/x^2$"""
    return 1 / x**2


@second_order.true
def curved_upwards(x: Positive[Array, ()], side: Sign[Array, ()]):
    r"""The second derivative of $1/x^2$ is $6/x^4 > 0$ on both sides of 0"""
    return equal(jax.grad(jax.grad(inverse_square))(side * x), 6 / x**4)


@second_order.as_worded
def chord_across_the_pole(x: Positive[Array, ()], y: Positive[Array, ()], lam: Share[Array, ()]):
    r"""So $1/x^2$ lies below its chords, also between $-x$ and y"""
    return below_chord(inverse_square, -x, y, lam)


strict = statement(
    "C4.16",
    TRUE,
    r"If $\nabla^2 f \succ 0$ everywhere on an open convex domain, $f$ is strictly convex.",
)


@strict.true(sizes={"d": 3})
def strictly_below_the_chord(x: Real[Array, d], y: Real[Array, d], lam: Share[Array, ()]):
    r"""By $\frac12 \lambda (1 - \lambda) (x - y)^2$ times the least curvature on the way, for $f(x) = e^x$, whose
    curvature has no positive lower bound on the line"""
    least = jnp.minimum(*(jax.vmap(jax.grad(jax.grad(jnp.exp)))(end) for end in (x, y)))
    depth = lam * (1 - lam) / 2 * (x - y) ** 2 * least
    return at_most(jnp.exp(mix(x, y, lam)) + depth, mix(jnp.exp(x), jnp.exp(y), lam))


@strict.control(at=[{"x": 0.0}])
def conversely(x: Real[Array, ()]):
    r"""Not conversely: $x^4$ is strictly convex, but its second derivative is not positive everywhere"""
    return holds(jax.grad(jax.grad(lambda x: x**4))(x) > 0)


@strict.control(at=[{"x": [0.0, 0.0], "y": [0.0, 1.0], "A": [[1.0, 0.0], [0.0, 0.0]]}])
def semidefinite(x: Real[Array, d], y: Real[Array, d], A: PositiveSemidefinite[Array, d, d]):
    r"""Nor is it enough that the Hessian is positive semidefinite: $\frac12 x^\top A x$ may be its chord"""
    f = lambda x: x @ A @ x / 2
    return at_most(f((x + y) / 2) + 1e-3 * jnp.trace(A) * ((x - y) @ (x - y)), (f(x) + f(y)) / 2)


least_squares = statement(
    "C4.18",
    TRUE,
    r"The Hessian of $\frac12 \|y - Xw\|^2$ is $X^\top X$, positive semidefinite for every $X$.",
)


@least_squares.true
def hessian(w: Real[Array, d], X: Real[Array, n, d], y: Real[Array, n], v: Real[Array, d]):
    r"""$\nabla^2 L = X^\top X$ and $v^\top X^\top X v = \|Xv\|^2 \ge 0$, whatever the rank of X"""
    H = jax.hessian(lambda w: (y - X @ w) @ (y - X @ w) / 2)(w)
    return equal(H, X.T @ X), equal(v @ H @ v, (X @ v) @ (X @ v))


@least_squares.control
def positive_definite(X: Real[Array, n, d]):
    r"""It is positive definite for every X, even of fewer rows than columns"""
    return holds(jnp.linalg.eigvalsh(X.T @ X)[0] > 1e-9 * jnp.trace(X.T @ X))


least_squares.line("regression/mean_squared_error", "hessian")
