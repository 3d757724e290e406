r"""Weak duality, and the duals of ridge, lasso, logistic regression and the support vector machine, derived by hand.

X holds the points as rows, y the responses (of the classifiers: labels, -1 or 1), $\lambda > 0$ or $C > 0$ the penalty.
Each problem stands here as its primal, its Lagrangian and its dual. A dual is derived by one identity, the Lagrangian
is the dual value plus terms that are not negative and vanish at the minimiser: that shows both what the infimum is and
where it lies.

Source: ML Math Derivations, part 4, "Duality"; Boyd and Vandenberghe, "Convex optimization", section 5.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from jaxderiv.domains import (
    Array, Nonnegative, Positive, PositiveDefinite, Real, Share, Sign, UnitInterval, d, m, n,
)  # fmt: skip
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import TRUE, at_most, equal, statement

weak = statement(
    "C4.74",
    TRUE,
    r"Weak duality: with $\lambda \ge 0$ the dual function lies below the optimal value, $d(\lambda, \nu) \le p^*$, "
    r"whether the problem is convex or not.",
)


# Any finite problem, and quadratic programs -------------------------------------------------------------------
@weak.true
def without_convexity(f: Real[Array, m], g: Real[Array, m, n], slack: Nonnegative[Array, n], lam: Nonnegative[Array, n]):
    r"$\min_i f_i + \lambda^\top g_i \le f_1$ if $g_1 \le 0$: the primal is any finite set of points"
    g = g.at[0].set(-slack)
    return at_most(jnp.min(f + g @ lam), f[0])


def quadratic_dual(A, b, G, c, lam):
    r"""$d(\lambda) = -\frac12 q^\top A^{-1} q - \lambda^\top c$, $q = b + G^\top\lambda$, of $\frac12 x^\top A x + b^\top x$ s.t. $Gx \le c$"""
    q = b + G.T @ lam
    return -q @ jnp.linalg.solve(A, q) / 2 - lam @ c


@weak.true
def of_a_quadratic_program(
    A: PositiveDefinite[Array, d, d], b: Real[Array, d], G: Real[Array, m, d],
    x: Real[Array, d], slack: Nonnegative[Array, m], lam: Nonnegative[Array, m],
):  # fmt: skip
    r"$d(\lambda) \le f(x)$ at every feasible x"
    return at_most(quadratic_dual(A, b, G, G @ x + slack, lam), x @ A @ x / 2 + b @ x)


@weak.control
def with_multipliers_of_any_sign(
    A: PositiveDefinite[Array, d, d], b: Real[Array, d], G: Real[Array, m, d],
    x: Real[Array, d], slack: Nonnegative[Array, m], lam: Real[Array, m],
):  # fmt: skip
    r"The same without $\lambda \ge 0$"
    return at_most(quadratic_dual(A, b, G, G @ x + slack, lam), x @ A @ x / 2 + b @ x)


# Ridge: the residual r = y - Xw is a variable of its own, with multiplier nu -----------------------------------
def ridge(X, y, lam, w):
    r"""$\frac12 \|y - Xw\|^2 + \frac\lambda2 \|w\|^2$"""
    return (y - X @ w) @ (y - X @ w) / 2 + lam / 2 * w @ w


def ridge_dual(X, y, lam, nu):
    r"""$\nu^\top y - \frac12\|\nu\|^2 - \frac1{2\lambda}\|X^\top\nu\|^2$"""
    return nu @ y - nu @ nu / 2 - (X.T @ nu) @ (X.T @ nu) / (2 * lam)


@weak.true
def ridge_lagrangian(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], r: Real[Array, n], nu: Real[Array, n]
):
    r"$L(w, r, \nu) = d(\nu) + \frac12 \|r - \nu\|^2 + \frac\lambda2 \|w - X^\top\nu / \lambda\|^2$"
    lagrangian = r @ r / 2 + lam / 2 * w @ w + nu @ (y - X @ w - r)
    off = w - X.T @ nu / lam
    return equal(lagrangian, ridge_dual(X, y, lam, nu) + (r - nu) @ (r - nu) / 2 + lam / 2 * off @ off)


@weak.true
def of_ridge(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], nu: Real[Array, n]):
    r"$d(\nu) \le \frac12 \|y - Xw\|^2 + \frac\lambda2 \|w\|^2$ for every w and every $\nu$"
    return at_most(ridge_dual(X, y, lam, nu), ridge(X, y, lam, w))


# Lasso ----------------------------------------------------------------------------------------------------------
def lasso(X, y, lam, w):
    r"""$\frac12 \|y - Xw\|^2 + \lambda \|w\|_1$"""
    return (y - X @ w) @ (y - X @ w) / 2 + lam * jnp.sum(abs(w))


def lasso_lagrangian(X, y, lam, w, r, nu):
    r"""$\frac12 \|r\|^2 + \lambda \|w\|_1 + \nu^\top (y - Xw - r)$"""
    return r @ r / 2 + lam * jnp.sum(abs(w)) + nu @ (y - X @ w - r)


def lasso_dual(y, nu):
    r"""$\nu^\top y - \frac12 \|\nu\|^2$, where $|x_j^\top\nu| \le \lambda$ for every column"""
    return nu @ y - nu @ nu / 2


def into_the_polytope(X, lam, nu):
    r"""$\nu$, scaled down until $|x_j^\top\nu| \le \lambda$ for every column"""
    return nu * lam / jnp.maximum(lam, jnp.max(abs(X.T @ nu)))


@weak.true
def lasso_dual_function(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], r: Real[Array, n], nu: Real[Array, n]
):
    r"$L = d + \frac12 \|r - \nu\|^2 + \sum_j (\lambda |w_j| - w_j x_j^\top\nu)$; the sum is 0 at w = 0"
    rest = (r - nu) @ (r - nu) / 2 + jnp.sum(lam * abs(w) - w * (X.T @ nu))
    return equal(lasso_lagrangian(X, y, lam, w, r, nu), lasso_dual(y, nu) + rest)


@weak.true
def lasso_dual_domain(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], nu: Real[Array, n], t: Positive[Array, ()]
):
    r"Along $w = t S_\lambda(X^\top\nu)$ the Lagrangian falls by $t \|S_\lambda(X^\top\nu)\|^2$: no bound where a $|x_j^\top\nu| > \lambda$"
    S = soft_threshold(X.T @ nu, lam)
    along = lambda w: lasso_lagrangian(X, y, lam, w, nu, nu)
    return equal(along(t * S), along(0 * S) - t * S @ S)


@weak.true
def of_lasso(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], nu: Real[Array, n]):
    r"$\nu^\top y - \frac12 \|\nu\|^2 \le \frac12 \|y - Xw\|^2 + \lambda \|w\|_1$ if $|x_j^\top\nu| \le \lambda$ for every column"
    return at_most(lasso_dual(y, into_the_polytope(X, lam, nu)), lasso(X, y, lam, w))


@weak.control
def of_lasso_outside_of_the_polytope(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], nu: Real[Array, n]
):
    r"The same for every $\nu$"
    return at_most(lasso_dual(y, nu), lasso(X, y, lam, w))


# Logistic regression, labels -1 and 1, the margins z = y * Xw as variables with multipliers alpha ----------------
def logistic(X, y, lam, w):
    r"""$\sum_i \log(1 + e^{-y_i x_i^\top w}) + \frac\lambda2 \|w\|^2$"""
    return jnp.sum(jnp.logaddexp(0.0, -y * (X @ w))) + lam / 2 * w @ w


def logistic_lagrangian(X, y, lam, w, z, alpha):
    r"""$\sum_i \log(1 + e^{-z_i}) + \frac\lambda2 \|w\|^2 + \alpha^\top(z - y \circ Xw)$"""
    return jnp.sum(jnp.logaddexp(0.0, -z)) + lam / 2 * w @ w + alpha @ (z - y * (X @ w))


def logistic_dual(X, y, lam, alpha):
    r"""$\sum_i H(\alpha_i) - \frac1{2\lambda}\|X^\top(\alpha \circ y)\|^2$, H the binary entropy, $0 \le \alpha \le 1$"""
    v = X.T @ (alpha * y)
    return -jnp.sum(xlogy(alpha, alpha) + xlogy(1 - alpha, 1 - alpha)) - v @ v / (2 * lam)


@weak.true
def logistic_dual_function(
    X: Real[Array, n, d], y: Sign[Array, n], lam: Positive[Array, ()], alpha: UnitInterval[Array, n]
):
    r"The Lagrangian is stationary at $w = X^\top(\alpha y) / \lambda$, $z = \log\frac{1 - \alpha}\alpha$, and is $d(\alpha)$ there"
    w, z = X.T @ (alpha * y) / lam, jnp.log((1 - alpha) / alpha)
    slopes = jax.grad(logistic_lagrangian, (3, 4))(X, y, lam, w, z, alpha)
    value = equal(logistic_lagrangian(X, y, lam, w, z, alpha), logistic_dual(X, y, lam, alpha))
    return value, [equal(slope, 0.0) for slope in slopes]


@weak.true
def of_logistic_regression(
    X: Real[Array, n, d], y: Sign[Array, n], lam: Positive[Array, ()], w: Real[Array, d], alpha: Share[Array, n]
):
    r"$\sum_i H(\alpha_i) - \frac1{2\lambda}\|X^\top(\alpha y)\|^2 \le \sum_i \log(1 + e^{-y_i x_i^\top w}) + \frac\lambda2\|w\|^2$"
    return at_most(logistic_dual(X, y, lam, alpha), logistic(X, y, lam, w))
