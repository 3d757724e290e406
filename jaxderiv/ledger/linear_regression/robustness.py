r"""Outliers: what one of them does to least squares, and what Huber's loss mends.

$\rho_\delta(r) = \frac12 r^2$ where $|r| \le \delta$, else $\delta (|r| - \frac12 \delta)$. A *leverage point* is an
observation whose x is far from the others'.

Source: ML Math Derivations, part 5, "Outliers"; Huber (1964); Hampel, Ronchetti, Rousseeuw and Stahel (1986).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.catalogue.regression.huber import influence, loss, pointwise
from jaxderiv.domains import Array, FullColumnRank, Positive, Real, Share, d, n
from jaxderiv.ledger.linear_regression.normal_equations import least_squares
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import HYP, NA, TRUE, at_most, close, equal, statement

# Least squares -------------------------------------------------------------------------------------------------
outlier = statement("C5.57", TRUE, r"A single outlier has unbounded influence on the least-squares solution.")


@outlier.true
def influence_on_the_solution(X: FullColumnRank[Array, n, d], y: Real[Array, n]):
    r"""$\partial \hat w / \partial y_i = (X^\top X)^{-1} x_i$, which does not depend on y"""
    return equal(jax.jacobian(lambda y: least_squares(X, y))(y), jnp.linalg.inv(X.T @ X) @ X.T)


@outlier.true
def moves_without_bound(X: FullColumnRank[Array, n, d], y: Real[Array, n], far: Real[Array, ()]):
    r"""$\hat w(y + s e_1) - \hat w(y) = s\, (X^\top X)^{-1} x_1$: an outlier twice as far off moves it twice as far"""
    moved = least_squares(X, jnp.append(y[:1] + far, y[1:])) - least_squares(X, y)
    return equal(moved, far * jnp.linalg.inv(X.T @ X) @ X[0])


@outlier.control
def moves_at_most_a_hundred(X: FullColumnRank[Array, n, d], y: Real[Array, n], far: Real[Array, ()]):
    r"""$\|\hat w(y + s e_1) - \hat w(y)\| \le 100$ for designs with columns of length one"""
    X = X / jnp.sqrt(jnp.sum(X**2, axis=0, keepdims=True))
    moved = least_squares(X, jnp.append(y[:1] + far, y[1:])) - least_squares(X, y)
    return at_most(jnp.linalg.norm(moved), 100.0)


# Huber's loss --------------------------------------------------------------------------------------------------
huber = statement(
    "C5.58",
    TRUE,
    r"$\rho_\delta$ is convex and once continuously differentiable, with "
    r"$\rho_\delta'(r) = \max(-\delta, \min(r, \delta))$; its second derivative is 1 inside and 0 outside, so jumps at "
    r"$\pm\delta$.",
)
huber.line("regression/huber", "influence_by_branch", "influence", "curvature", "curvature_along")


@huber.true
def branches_meet(delta: Positive[Array, ()], t: Positive[Array, ()]):
    r"""Just outside, at $\delta (1 + t)$, value and slope exceed those at $\delta$ by $\delta^2 t$
    and 0: nothing jumps as $t \to 0$"""
    rho = lambda r: pointwise(r, delta)
    outside = delta * (1 + t)
    slopes = equal(jax.grad(rho)(outside), jax.grad(rho)(delta))
    return equal(rho(outside) - rho(delta), delta**2 * t), equal(rho(-outside), rho(outside)), slopes


@huber.true
def convex(r: Real[Array, ()], s: Real[Array, ()], share: Share[Array, ()], delta: Positive[Array, ()]):
    r"""$\rho_\delta(\lambda r + (1 - \lambda) s) \le \lambda \rho_\delta(r) + (1 - \lambda) \rho_\delta(s)$"""
    chord = share * pointwise(r, delta) + (1 - share) * pointwise(s, delta)
    return at_most(pointwise(share * r + (1 - share) * s, delta), chord)


@huber.control
def twice_differentiable(delta: Positive[Array, ()], h: Positive[Array, ()]):
    r"""The slope changes alike on both sides of $\delta$: $\rho'(\delta + h) - \rho'(\delta) = \rho'(\delta) -
    \rho'(\delta - h)$"""
    slope = lambda r: influence(r, delta)
    return equal(slope(delta + h) - slope(delta), slope(delta) - slope(delta - h))


@huber.true
def envelope(r: Real[Array, ()], u: Real[Array, ()], delta: Positive[Array, ()]):
    r"""$\rho_\delta(r) = \min_u \frac12 (r - u)^2 + \delta |u|$, attained at $u = S_\delta(r)$: what is left after a
    sparse error u"""
    objective = lambda u: (r - u) ** 2 / 2 + delta * abs(u)
    least = equal(objective(soft_threshold(r, delta)), pointwise(r, delta))
    return least, at_most(pointwise(r, delta), objective(u))


@huber.true
def derivative_at_the_knee():
    r"""At the knee JAX's derivative of the slope is between the one-sided ones, 0 and 1"""
    second = jnp.stack([jax.grad(influence)(r, 1.5) for r in (1.5, -1.5)])
    return at_most(0.0, second, scale=1.0), at_most(second, 1.0)


# Huber regression ----------------------------------------------------------------------------------------------
robust = statement(
    "C5.59",
    HYP,
    r"Huber regression is robust against outliers.",
    but=r"Against outlying y: each observation pulls by at most $\delta \|x_i\|$. An x has to be bounded: a single "
    r"leverage point can turn the line around, as with least squares.",
)


def fit_huber(X, y, delta, steps=1000):
    r"""Weights that minimise $\sum_i \rho_\delta$, by least squares with weights $\min(1, \delta / |r_i|)$ again and
    again."""
    w = np.linalg.lstsq(X, y)[0]
    for _ in range(steps):
        root = np.sqrt(np.minimum(1.0, delta / np.maximum(abs(y - X @ w), 1e-300)))
        w = np.linalg.lstsq(root[:, None] * X, root * y)[0]
    return w


def slopes(x, y):
    """Of Huber's line (checked to be a minimiser) and of least squares."""
    X = np.stack([x, np.ones(len(x))], axis=1)
    w = fit_huber(X, y, 1.0)
    minimal = at_most(abs(jax.grad(loss)(w, X, y, 1.0)), 1e-6 * np.sum(abs(X), axis=0))
    return w[0], np.linalg.lstsq(X, y)[0][0], minimal


def steep_line(rng):
    """Thirty points about a line of slope 2."""
    x = np.sort(rng.uniform(-3, 3, 30))
    return x, 2 * x + 0.3 * rng.standard_normal(30)


@robust.as_worded
def against_any_outlier(rng):
    """With one more point, (100, -100), Huber's slope is still within 1 of 2"""
    x, y = steep_line(rng)
    return at_most(abs(slopes(np.append(x, 100.0), np.append(y, -100.0))[0] - 2), 1.0)


@robust.true
def leverage(rng):
    """With it both lines have a slope within 0.1 of -1, which is that of the point"""
    x, y = steep_line(rng)
    by_huber, by_squares, minimal = slopes(np.append(x, 100.0), np.append(y, -100.0))
    return minimal, close(np.array([by_huber, by_squares]), -1.0, 0.1)


@robust.true
def vertical_outliers(rng):
    """With the last three y lower by 30, least squares has a slope below 0.6; Huber's is within 0.4 of 2, and is the
    same with them lower by 3000"""
    x, y = steep_line(rng)
    lower, much_lower = (y - fall * (np.arange(30) >= 27) for fall in (30, 3000))
    (by_huber, by_squares, minimal), (same, *_) = slopes(x, lower), slopes(x, much_lower)
    return minimal, at_most(by_squares, 0.6), close(by_huber, 2.0, 0.4), close(same, by_huber, 1e-6)


@robust.true(at=[{"w": [0.0, 0.0], "x": [3.0, 4.0], "y": 10.0, "delta": 2.0}])
def bounded_pull(w: Real[Array, d], x: Real[Array, d], y: Real[Array, ()], delta: Positive[Array, ()]):
    r"""$\|\nabla_w \rho_\delta(x^\top w - y)\| \le \delta \|x\|$ whatever y, attained by outliers"""
    pull = jax.grad(loss)(w, x[None, :], y[None], delta)
    return at_most(pull @ pull, delta**2 * (x @ x))


@robust.control(at=[{"w": [0.0, 0.0], "x": [3.0, 4.0], "y": 10.0, "delta": 2.0}])
def pull_is_smaller(w: Real[Array, d], x: Real[Array, d], y: Real[Array, ()], delta: Positive[Array, ()]):
    r"""The bound with $0.95\, \delta$"""
    pull = jax.grad(loss)(w, x[None, :], y[None], delta)
    return at_most(pull @ pull, (0.95 * delta) ** 2 * (x @ x))


# ------------------------------------------------------------------------------------------------------------
alternatives = statement(
    "C5.61",
    NA,
    r"RANSAC, M-estimators and quantile regression are alternatives to it.",
    but=r"A list of methods. Huber regression is itself an M-estimator, and quantile regression, of which least "
    r"absolute deviations are a case, has bounded pulls in the same way, with the same weakness.",
)
