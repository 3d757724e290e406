r"""Weak duality, and the dual functions of ridge, lasso, logistic regression and the support vector machine by hand.

A dual function is derived by one identity: the Lagrangian is the dual value, plus terms that are not negative and
vanish at the minimiser, plus terms that are linear in a free variable, which have no bound unless their coefficient is
zero: that is the dual's constraint. The formulas: dual_problems.

Source: ML Math Derivations, part 4, "Duality".
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveDefinite, Real, Share, Sign, UnitInterval, d, m, n
from jaxderiv.ledger.convex_optimisation.dual_problems import (
    balanced,
    half_square,
    hard_lagrangian,
    into_the_polytope,
    lasso,
    lasso_dual,
    lasso_lagrangian,
    logistic,
    logistic_dual,
    logistic_lagrangian,
    machine_dual,
    program,
    program_dual,
    ridge,
    ridge_dual,
    ridge_lagrangian,
    separated,
    soft,
    soft_lagrangian,
)  # fmt: skip
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import TRUE, at_most, equal, statement

weak = statement(
    "C4.74",
    TRUE,
    r"Weak duality: with $\lambda \ge 0$ the dual function lies below the optimal value, $d(\lambda, \nu) \le p^*$, "
    "whether the problem is convex or not.",
)


@weak.true
def without_convexity(
    f: Real[Array, m], g: Real[Array, m, n], slack: Nonnegative[Array, n], lam: Nonnegative[Array, n]
):
    r"$\min_i (f_i + \lambda^\top g_i) \le f_1$ if $g_1 \le 0$: the primal is any finite set of points"
    g = g.at[0].set(-slack)
    return at_most(jnp.min(f + g @ lam), f[0])


@weak.true
def of_a_quadratic_program(
    A: PositiveDefinite[Array, d, d], b: Real[Array, d], G: Real[Array, m, d],
    x: Real[Array, d], slack: Nonnegative[Array, m], lam: Nonnegative[Array, m],
):  # fmt: skip
    r"$d(\lambda) \le f(x)$ for every $\lambda \ge 0$ at every feasible x, which c = Gx + slack makes any x"
    return at_most(program_dual(A, b, G, G @ x + slack, lam), program(A, b, x))


@weak.control
def with_multipliers_of_any_sign(
    A: PositiveDefinite[Array, d, d], b: Real[Array, d], G: Real[Array, m, d],
    x: Real[Array, d], slack: Nonnegative[Array, m], lam: Real[Array, m],
):  # fmt: skip
    r"The same without $\lambda \ge 0$"
    return at_most(program_dual(A, b, G, G @ x + slack, lam), program(A, b, x))


@weak.true
def ridge_dual_function(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()],
    w: Real[Array, d], r: Real[Array, n], nu: Real[Array, n],
):  # fmt: skip
    r"$L(w, r, \nu) = d(\nu) + \frac12 \|r - \nu\|^2 + \frac\lambda2 \|w - X^\top\nu / \lambda\|^2$"
    squares = half_square(r - nu) + lam * half_square(w - X.T @ nu / lam)
    return equal(ridge_lagrangian(X, y, lam, w, r, nu), ridge_dual(X, y, lam, nu) + squares)


@weak.true
def of_ridge(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], nu: Real[Array, n]):
    r"""$\nu^\top y - \frac12\|\nu\|^2 - \frac1{2\lambda}\|X^\top\nu\|^2 \le \frac12 \|y - Xw\|^2 + \frac\lambda2
    \|w\|^2$, all w and $\nu$"""
    return at_most(ridge_dual(X, y, lam, nu), ridge(X, y, lam, w))


@weak.true
def lasso_dual_function(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()],
    w: Real[Array, d], r: Real[Array, n], nu: Real[Array, n],
):  # fmt: skip
    r"""$L = d(\nu) + \frac12 \|r - \nu\|^2 + \sum_j (\lambda |w_j| - w_j x_j^\top\nu)$; if $|x_j^\top\nu| \le
    \lambda$, no term is negative"""
    rest = half_square(r - nu) + jnp.sum(lam * abs(w) - w * (X.T @ nu))
    return equal(lasso_lagrangian(X, y, lam, w, r, nu), lasso_dual(y, nu) + rest)


@weak.true
def lasso_dual_constraint(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], nu: Real[Array, n], t: Positive[Array, ()]
):
    r"""Along $w = t S_\lambda(X^\top\nu)$, L falls by $t \|S_\lambda(X^\top\nu)\|^2$: it has no bound if some
    $|x_j^\top\nu| > \lambda$"""
    S = soft_threshold(X.T @ nu, lam)
    return equal(lasso_lagrangian(X, y, lam, t * S, nu, nu), lasso_dual(y, nu) - t * S @ S)


@weak.true
def of_lasso(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], nu: Real[Array, n]):
    r"""$\nu^\top y - \frac12 \|\nu\|^2 \le \frac12 \|y - Xw\|^2 + \lambda \|w\|_1$ if $|x_j^\top\nu| \le \lambda$ for
    every column"""
    return at_most(lasso_dual(y, into_the_polytope(X, lam, nu)), lasso(X, y, lam, w))


@weak.control
def of_lasso_without_its_constraint(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], nu: Real[Array, n]
):
    r"The same for every $\nu$"
    return at_most(lasso_dual(y, nu), lasso(X, y, lam, w))


@weak.true
def logistic_dual_function(
    X: Real[Array, n, d], y: Sign[Array, n], lam: Positive[Array, ()], alpha: UnitInterval[Array, n]
):
    r"""The Lagrangian, convex in w and z, is stationary at $w = X^\top(\alpha y) / \lambda$, $z = \log\frac{1 -
    \alpha}\alpha$; it is $d(\alpha)$ there"""
    w, z = X.T @ (alpha * y) / lam, jnp.log((1 - alpha) / alpha)
    slopes = jax.grad(logistic_lagrangian, (3, 4))(X, y, lam, w, z, alpha)
    value = logistic_lagrangian(X, y, lam, w, z, alpha)
    return equal(value, logistic_dual(X, y, lam, alpha)), [equal(slope, 0.0) for slope in slopes]


@weak.true
def of_logistic_regression(
    X: Real[Array, n, d], y: Sign[Array, n], lam: Positive[Array, ()], w: Real[Array, d], alpha: Share[Array, n]
):
    r"""$\sum_i H(\alpha_i) - \frac1{2\lambda}\|X^\top(\alpha y)\|^2 \le \sum_i \log(1 + e^{-y_i x_i^\top w}) +
    \frac\lambda2\|w\|^2$"""
    return at_most(logistic_dual(X, y, lam, alpha), logistic(X, y, lam, w))


@weak.true
def hard_margin_dual_function(
    X: Real[Array, n, d], y: Sign[Array, n], w: Real[Array, d], b: Real[Array, ()], alpha: Real[Array, n]
):
    r"""$L = \sum_i \alpha_i - \frac12\|v\|^2 + \frac12\|w - v\|^2 - b \sum_i \alpha_i y_i$, $v = X^\top(\alpha y)$:
    no bound unless $\sum_i \alpha_i y_i = 0$"""
    rest = half_square(w - X.T @ (alpha * y)) - b * (alpha @ y)
    return equal(hard_lagrangian(X, y, w, b, alpha), machine_dual(X, y, alpha) + rest)


@weak.true
def of_the_hard_margin(
    X: Real[Array, n, d], y: Sign[Array, n], w: Real[Array, d], b: Real[Array, ()],
    slack: Nonnegative[Array, n], share: Nonnegative[Array, n],
):  # fmt: skip
    r"""$\sum_i \alpha_i - \frac12\|v\|^2 \le \frac12 \|w\|^2$ if every margin is at least 1, $\alpha \ge 0$, $\sum_i
    \alpha_i y_i = 0$"""
    return at_most(machine_dual(separated(X, y, w, b, slack), y, balanced(share, y)), half_square(w))


@weak.true
def soft_margin_dual_function(
    X: Real[Array, n, d], y: Sign[Array, n], C: Positive[Array, ()], w: Real[Array, d], b: Real[Array, ()],
    xi: Real[Array, n], alpha: Real[Array, n], beta: Real[Array, n],
):  # fmt: skip
    r"The same plus $\sum_i (C - \alpha_i - \beta_i) \xi_i$: no bound unless $\alpha_i = C - \beta_i \le C$"
    rest = half_square(w - X.T @ (alpha * y)) - b * (alpha @ y) + (C - alpha - beta) @ xi
    return equal(soft_lagrangian(X, y, C, w, b, xi, alpha, beta), machine_dual(X, y, alpha) + rest)


@weak.true
def of_the_soft_margin(
    X: Real[Array, n, d], y: Sign[Array, n], C: Positive[Array, ()], w: Real[Array, d], b: Real[Array, ()],
    share: Share[Array, n],
):  # fmt: skip
    r"""$\sum_i \alpha_i - \frac12\|v\|^2 \le \frac12 \|w\|^2 + C \sum_i \xi_i$ if $0 \le \alpha \le C$, $\sum_i
    \alpha_i y_i = 0$"""
    return at_most(machine_dual(X, y, C * balanced(share, y)), soft(X, y, C, w, b))


@weak.control
def of_the_soft_margin_without_its_ceiling(
    X: Real[Array, n, d], y: Sign[Array, n], C: Positive[Array, ()], w: Real[Array, d], b: Real[Array, ()],
    share: Nonnegative[Array, n],
):  # fmt: skip
    r"The same with $\alpha \ge 0$ only"
    return at_most(machine_dual(X, y, C * balanced(share, y)), soft(X, y, C, w, b))
