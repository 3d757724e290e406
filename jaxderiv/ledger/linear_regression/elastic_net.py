r"""The elastic net: the lasso's penalty and ridge regression's, in shares of alpha and 1 - alpha.

It minimises $\frac12 \|y - Xw\|^2 + \lambda (\alpha \|w\|_1 + \frac{1 - \alpha}2 \|w\|_2^2)$, X is n by d.

Source: ML Math Derivations, part 5, "Regularisation"; the grouping effect: Zou and Hastie (2005), Theorem 1.
"""

import jax.numpy as jnp

from jaxderiv.domains import Array, Positive, Real, Share, UnitInterval, d, n
from jaxderiv.ledger.notation import soft_threshold
from jaxderiv.theorem import HYP, TRUE, at_most, equal, holds, statement

net = statement(
    "C5.38",
    TRUE,
    r"The elastic net adds $\lambda (\alpha \|w\|_1 + \frac{1 - \alpha}2 \|w\|_2^2)$ to the squared loss.",
)


def net_loss(X, y, lam, alpha):
    """Half the sum of squared residuals and the elastic net's penalty."""
    penalty = lambda w: alpha * jnp.sum(abs(w)) + (1 - alpha) / 2 * (w @ w)
    return lambda w: (y - X @ w) @ (y - X @ w) / 2 + lam * penalty(w)


@net.true
def of_scikit_learn(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], alpha: Share[Array, ()], w: Real[Array, d]
):
    r"""n times the objective of `ElasticNet(alpha=λ/n, l1_ratio=α)`, which divides the squares by 2n"""
    a, r = lam / len(y), y - X @ w
    theirs = r @ r / (2 * len(y)) + a * alpha * jnp.sum(abs(w)) + a * (1 - alpha) / 2 * (w @ w)
    return equal(len(y) * theirs, net_loss(X, y, lam, alpha)(w))


@net.true
def strongly_convex(
    X: Real[Array, n, d],
    y: Real[Array, n],
    lam: Positive[Array, ()],
    alpha: Share[Array, ()],
    w: Real[Array, d],
    v: Real[Array, d],
):
    r"""$F(\frac{w + v}2) \le \frac{F(w) + F(v)}2 - \frac{\lambda (1 - \alpha)}8 \|w - v\|^2$: one minimiser if
    $\alpha < 1$, whatever the rank of X"""
    F = net_loss(X, y, lam, alpha)
    return at_most(F((w + v) / 2), (F(w) + F(v)) / 2 - lam * (1 - alpha) / 8 * (w - v) @ (w - v), scale=F(w) + F(v))


@net.control(at=[{"y": [1.0], "lam": 0.5, "w": [0.5, 0.0], "v": [0.0, 0.5]}])
def lasso_has_one_minimiser(y: Real[Array, 1], lam: Positive[Array, ()], w: Real[Array, 2], v: Real[Array, 2]):
    r"""At $\alpha = 1$, with two equal columns, the loss halfway between two points is smaller than at the better
    one"""
    F = net_loss(jnp.ones((1, 2)), y, lam, 1.0)
    gap = jnp.sum(abs(w - v))
    return holds((F((w + v) / 2) < jnp.maximum(F(w), F(v))) | (gap == 0))


# ------------------------------------------------------------------------------------------------------------
grouping = statement(
    "C5.39",
    HYP,
    r"The elastic net keeps the lasso's sparsity and ridge's stability: features that are correlated get similar "
    r"weights.",
    but=r"For columns of length one and $\alpha < 1$: "
    r"$|w_i - w_j| \le \|y\| \sqrt{2 (1 - \rho)} / (\lambda (1 - \alpha))$, with $\rho = x_i^\top x_j$, whatever the "
    r"signs of the two weights. Without a common length, or at $\alpha = 1$, no such bound holds.",
)


def solved_net(X, r, lam, alpha):
    r"""From its residual r: the elastic net's solution, by $x_j^\top r = \lambda (\alpha s_j + (1 - \alpha) w_j)$,
    and the sample y"""
    w = soft_threshold(X.T @ r / lam, alpha) / (1 - alpha)
    return w, X @ w + r


def of_length_one(X):
    """The columns, divided by their lengths."""
    return X / jnp.sqrt(jnp.sum(X**2, axis=0, keepdims=True))


def bound(X, y, lam, rest):
    r"""$\|y\| \sqrt{2 (1 - \rho)} / (\lambda \cdot \text{rest})$ for the first two columns, of correlation $\rho$"""
    apart = of_length_one(X[:, :2]) @ jnp.array([1.0, -1.0])  # its length is the root of 2 (1 - rho)
    return jnp.sqrt(y @ y * (apart @ apart)) / (lam * rest)


@grouping.as_worded(at=[{"X": [[1.0, 2.0], [0.0, 0.0]], "r": [1.0, 0.0], "lam": 0.1, "alpha": 0.5}])
def whatever_the_units(
    X: Real[Array, n, d], r: Real[Array, n], lam: Positive[Array, ()], alpha: UnitInterval[Array, ()]
):
    r"""The bound, with their correlation for $\rho$, of columns that differ in length"""
    w, y = solved_net(X, r, lam, alpha)
    larger = bound(X, y, lam, 1 - alpha)
    return at_most(abs(w[0] - w[1]), larger, scale=larger + abs(w[0]))


@grouping.true
def grouping_bound(X: Real[Array, n, d], r: Real[Array, n], lam: Positive[Array, ()], alpha: UnitInterval[Array, ()]):
    r"""$|w_i - w_j| \le \|y\| \sqrt{2 (1 - \rho)} / (\lambda (1 - \alpha))$ for columns of length one: subtract the
    conditions of i and j; s grows with w, so that its difference only helps"""
    X = of_length_one(X)
    w, y = solved_net(X, r, lam, alpha)
    larger = bound(X, y, lam, 1 - alpha)
    return at_most(abs(w[0] - w[1]), larger, scale=larger + abs(w[0]))


@grouping.control(at=[{"X": [[1.0, 1.0], [0.01, -0.01]], "r": [0.0, 200.0], "lam": 1.0, "alpha": 0.999}])
def grouping_of_nearly_the_lasso(
    X: Real[Array, n, d], r: Real[Array, n], lam: Positive[Array, ()], alpha: UnitInterval[Array, ()]
):
    r"""A bound that holds up to $\alpha = 1$: the same without $1 - \alpha$, and a hundred times as large"""
    X = of_length_one(X)
    w, y = solved_net(X, r, lam, alpha)
    return at_most(abs(w[0] - w[1]), 100 * bound(X, y, lam, 1.0))


@grouping.true
def still_sparse(
    X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], alpha: UnitInterval[Array, ()], v: Real[Array, d]
):
    r"""$w = 0$ is optimal if $\lambda\alpha \ge \max_j |x_j^\top y|$; here $\lambda$ is enlarged to that"""
    F = net_loss(X, y, jnp.maximum(lam, jnp.max(abs(X.T @ y)) / alpha), alpha)
    return at_most(F(0 * v), F(v))


@grouping.true
def still_stable(
    X: Real[Array, n, d], u: Real[Array, d], v: Real[Array, d], lam: Positive[Array, ()], alpha: Share[Array, ()]
):
    r"""$\lambda (1 - \alpha) \|w - w'\| \le \|X^\top (y - y')\|$ for the solutions w and w' of two samples, whatever
    the rank of X"""
    w, z = soft_threshold(u, 1.0), soft_threshold(v, 1.0)
    # X'y, by the conditions
    moment = lambda u, w: X.T @ X @ w + lam * (alpha * jnp.clip(u, -1.0, 1.0) + (1 - alpha) * w)
    apart = moment(u, w) - moment(v, z)
    return at_most((lam * (1 - alpha)) ** 2 * (w - z) @ (w - z), apart @ apart)
