r"""Duality gaps and strong duality: solved examples, and convex problems with a gap, where Slater's condition fails.

Theorems about an optimum need instances whose optimum is known. Some have a closed form; others are built backwards,
from the solution and its multipliers to the data. What is solved numerically stands in kkt_examples.

Source: ML Math Derivations, part 4, "Duality"; Boyd and Vandenberghe, "Convex optimization" (2004), section 5.2,
exercise 5.21.
"""

import jax.numpy as jnp

from jaxderiv.domains import Array, FullColumnRank, Nonnegative, Positive, Real, Share, d, n
from jaxderiv.ledger.convex_optimisation.dual_problems import (
    half_square,
    lasso,
    lasso_dual,
    machine_dual,
    margins,
    ridge,
    ridge_dual,
    soft,
)
from jaxderiv.theorem import HYP, TRUE, at_most, equal, statement

gap = statement(
    "C4.75",
    TRUE,
    "The duality gap $p^* - d^*$, with $d^*$ the supremum of the dual function, is not negative; strong duality is "
    "$p^* = d^*$.",
)


@gap.true
def gap_of_two_points(
    a: Positive[Array, ()], b: Positive[Array, ()], f: Positive[Array, ()], lam: Nonnegative[Array, ()]
):
    r"""Of the points $(g, f) = (a, 0), (-b, f)$ the second is feasible: $p^* = f$, $d^* = \frac{a f}{a + b}$ at
    $\frac f{a + b}$"""
    dual = lambda lam: jnp.minimum(lam * a, f - lam * b)
    best = dual(f / (a + b))
    return at_most(dual(lam), best), equal(best, a * f / (a + b)), equal(f - best, b * f / (a + b))


@gap.true
def no_gap_once_convex(a: Positive[Array, ()], b: Positive[Array, ()], f: Positive[Array, ()], share: Share[Array, ()]):
    r"With the mixtures of the two points allowed, one with g = 0 has $f = d^*$, and no feasible one less"
    mixed = lambda share: ((1 - share) * a - share * b, share * f)
    (on_edge, value), (g, other) = mixed(a / (a + b)), mixed(share)
    at_edge = equal(on_edge + a, a), equal(value, a * f / (a + b))
    return *at_edge, at_most(a * f / (a + b), other + f / (a + b) * jnp.maximum(g, 0.0))


@gap.control
def always_zero(a: Positive[Array, ()], b: Positive[Array, ()], f: Positive[Array, ()]):
    "The same two points have no gap"
    return at_most(f, jnp.minimum(f / (a + b) * a, f - f / (a + b) * b))


strong = statement(
    "C4.76",
    HYP,
    "Slater: if a convex problem has a strictly feasible point, it has strong duality.",
    r"Where there are equations, the point has to be in the relative interior of the domain: $\min e^{-\sqrt{xy}}$ "
    r"over $x, y \ge 0$ subject to $x = 0$, $-y \le 0$ has the strictly feasible point (0, 1) on the edge of its "
    r"domain, $p^* = 1$ and $d^* = 0$. With that (and $p^* > -\infty$) strong duality holds, the dual optimum is "
    "attained, and affine constraints need not hold strictly. Without a Slater point a convex problem may have a "
    "gap.",
)


def on_edge(x, y, nu, lam):
    r"""$L = e^{-\sqrt{xy}} + \nu x - \lambda y$"""
    return jnp.exp(-jnp.sqrt(x * y)) + nu * x - lam * y


@strong.as_worded
def strictly_feasible_on_the_edge_of_the_domain(
    x: Nonnegative[Array, ()], y: Nonnegative[Array, ()], nu: Real[Array, ()]
):
    r"Multipliers attain $p^* = 1$, the one of the slack $-y \le 0$ being zero: $e^{-\sqrt{xy}} + \nu x \ge 1$"
    return at_most(1.0, on_edge(x, y, nu, 0.0))


@strong.true
def gap_on_the_edge_of_the_domain(
    y: Nonnegative[Array, ()], nu: Real[Array, ()], lam: Nonnegative[Array, ()], eps: Positive[Array, ()]
):
    r"""f = 1 wherever x = 0, but for no multipliers is $d(\nu, \lambda) > 0$: $L \le \epsilon$ at $x = t^{-2}$, $y =
    t^4$"""
    eps = jnp.minimum(eps, 1.0)
    t = (1 + abs(nu)) / eps
    return at_most(on_edge(t**-2, t**4, nu, lam), eps, eps + lam * t**4), equal(on_edge(0 * y, y, nu, 0.0), 1.0)


def squeezed(x, y, lam):
    r"""$L = e^{-x} + \lambda x^2 / y$"""
    return jnp.exp(-x) + lam * x**2 / y


@strong.true
def gap_without_a_slater_point(
    x: Real[Array, ()], y: Positive[Array, ()], lam: Nonnegative[Array, ()], eps: Positive[Array, ()]
):
    r"""$\min e^{-x}$, $x^2 / y \le 0$, y > 0: feasible is x = 0, so $p^* = 1$; $0 \le d(\lambda) \le \epsilon$ for
    all $\epsilon$: $d^* = 0$"""
    t = (1 + lam) / eps
    return at_most(squeezed(t, t**3, lam), eps), at_most(0.0, squeezed(x, y, lam)), equal(squeezed(0 * y, y, lam), 1.0)


@strong.control
def gap_is_smaller(t: Positive[Array, ()], lam: Nonnegative[Array, ()]):
    r"A multiplier keeps that Lagrangian above $\frac1{100}$ along x = t, $y = t^3$"
    return at_most(0.01, squeezed(t, t**3, lam))


@strong.true
def multiplier_lacks_without_a_slater_point(x: Real[Array, ()], lam: Positive[Array, ()]):
    r"$\min x$, $x^2 \le 0$ has no gap: $d(\lambda) = -1 / (4\lambda)$ tends to $p^* = 0$; but no $\lambda$ attains it"
    L = lambda x: x + lam * x**2
    return equal(L(-1 / (2 * lam)), -1 / (4 * lam)), at_most(-1 / (4 * lam), L(x), abs(x) + lam * x**2 + 1 / lam)


@strong.true
def of_a_half_space(c: Real[Array, d], a: Real[Array, d], b: Real[Array, ()]):
    r"""$\min \frac12\|x - c\|^2$, $a^\top x \le b$: $x^* = c - \lambda^* a$, $\lambda^* = \max(0, a^\top c - b) /
    \|a\|^2$, and $f(x^*) = d(\lambda^*)$"""
    lam = jnp.maximum(0.0, a @ c - b) / (a @ a)
    x = c - lam * a
    return equal(half_square(x - c), lam * (a @ c - b) - half_square(lam * a)), at_most(
        a @ x, b, abs(a) @ abs(c) + abs(b)
    )


@strong.true
def of_ridge(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()]):
    r"$\nu^* = y - Xw^*$ at the solution $w^* = (X^\top X + \lambda I)^{-1} X^\top y$ has the value of the primal"
    w = jnp.linalg.solve(X.T @ X + lam * jnp.eye(X.shape[1]), X.T @ y)
    return equal(ridge(X, y, lam, w), ridge_dual(X, y, lam, y - X @ w))


@strong.true
def of_lasso(X: FullColumnRank[Array, n, d], w: Real[Array, d], lam: Positive[Array, ()]):
    r"""Built from its solution: with $X^\top\nu = \lambda \operatorname{sign}(w)$ and $y = Xw + \nu$ the two values
    agree"""
    nu = X @ jnp.linalg.solve(X.T @ X, lam * jnp.sign(w))
    y = X @ w + nu
    return equal(lasso(X, y, lam, w), lasso_dual(y, nu))


def pairs(offset, w, b):
    r"""Points with margin 1: for every offset along the hyperplane one on each side, the first half labelled 1, then
    -1"""
    along = offset - jnp.outer(offset @ w, w) / (w @ w)
    points = [along + (sign - b) * w / (w @ w) for sign in (1.0, -1.0)]
    return jnp.concatenate(points), jnp.repeat(jnp.array([1.0, -1.0]), len(offset))


@strong.true
def of_the_hard_margin(offset: Real[Array, n, d], w: Real[Array, d], b: Real[Array, ()], weight: Positive[Array, n]):
    r"""Points in opposite pairs on the margins, each pair with $\alpha$ that sum to $\frac12\|w\|^2$: $d(\alpha) =
    \frac12\|w\|^2$"""
    X, y = pairs(offset, w, b)
    alpha = jnp.tile(weight / jnp.sum(weight) * half_square(w), 2)
    return equal(machine_dual(X, y, alpha), half_square(w)), equal(margins(X, y, w, b), 1.0), equal(alpha @ y, 0.0 * b)


@strong.true
def of_the_soft_margin(x: Real[Array, d], C: Positive[Array, ()]):
    r"""Two points x and -x, with $\alpha = \min(C, 1 / (2\|x\|^2))$ both: $w = 2 \alpha x$, b = 0, and no gap on
    either side"""
    X, y = jnp.stack([x, -x]), jnp.array([1.0, -1.0])
    alpha = jnp.minimum(C, 1 / (2 * x @ x))
    return equal(soft(X, y, C, 2 * alpha * x, 0.0), machine_dual(X, y, jnp.stack([alpha, alpha])))
