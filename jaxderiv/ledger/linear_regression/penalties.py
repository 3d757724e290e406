r"""Ridge and lasso as penalties: the ridge path, budgets instead of penalties, and the intercept.

The design X is n by d. A model with a bias has a last column of ones; that the penalty then falls on the bias too is
the subject of one entry.

Source: ML Math Derivations, part 5, "Regularisation".
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveDefinite, PositiveSemidefinite, Real, d, n
from jaxderiv.ledger.linear_regression.lasso import kkt_residual, random_problem, solved
from jaxderiv.ledger.linear_regression.proximal import project_to_simplex
from jaxderiv.ledger.notation import iterates, soft_threshold
from jaxderiv.theorem import FALSE, HYP, at_most, close, equal, holds, statement


def ridge(A, c, lam):
    r"""$(A + \lambda I)^{-1} c$, with $A = X^\top X$ and $c = X^\top y$"""
    return jnp.linalg.solve(A + lam * jnp.eye(len(c)), c)


# ------------------------------------------------------------------------------------------------------------
path = statement(
    "C5.29",
    FALSE,
    r"Along the ridge path the coefficients get small but are never zero.",
    but=r"A coefficient can change its sign on the way, and is zero there. What shrinks at every $\lambda$ is the "
    r"norm $\|w(\lambda)\|$; it reaches zero only in the limit. Each $w_j$ is a ratio of polynomials in $\lambda$, so "
    r"one that is not zero throughout is zero at finitely many $\lambda$.",
)


def correlated_pair(lam):
    r"""The ridge solution, times the determinant, where $X^\top X$ has the rows (10, 9) and (9, 10), and
    $X^\top y = (10, 8)$"""
    return jnp.array([10 * (10 + lam) - 9 * 8, 8 * (10 + lam) - 9 * 10])


@path.as_worded(at=[{"lam": 1.25}])
def never_zero(lam: Nonnegative[Array, ()]):
    r"""For two features with correlation 0.9 no $\lambda$ makes the second coefficient zero"""
    return holds(correlated_pair(lam)[1] != 0)


@path.true
def zero_on_the_way(lam: Nonnegative[Array, ()]):
    r"""That coefficient is $8 (\lambda - 1.25)$ over the determinant: negative, then zero at 1.25, then positive"""
    A = jnp.array([[10.0, 9.0], [9.0, 10.0]])
    w = ridge(A, jnp.array([10.0, 8.0]), lam) * jnp.linalg.det(A + lam * jnp.eye(2))
    return equal(w, correlated_pair(lam)), equal(w[1], 8 * (lam - 1.25))


@path.true
def norm_shrinks(A: PositiveSemidefinite[Array, d, d], c: Real[Array, d], lam: Positive[Array, ()]):
    r"""$\frac{d}{d\lambda} \|w\|^2 = -2 w^\top (A + \lambda I)^{-1} w$, at most
    $-2 \|w\|^2 / (\operatorname{tr} A + \lambda)$: negative"""
    slope = jax.grad(lambda lam: jnp.sum(ridge(A, c, lam) ** 2))(lam)
    w = ridge(A, c, lam)
    return equal(slope, -2 * w @ ridge(A, w, lam)), at_most(slope, -2 * (w @ w) / (jnp.trace(A) + lam))


@path.true
def zero_in_the_limit(A: PositiveDefinite[Array, d, d], c: Real[Array, d], lam: Positive[Array, ()]):
    r"""$\|\lambda w - c\| \le \operatorname{tr}(A) \|c\| / \lambda$: in the end w is $c / \lambda$, which is not all
    zero"""
    miss = lam * ridge(A, c, lam) - c
    return at_most(lam**2 * miss @ miss, jnp.trace(A) ** 2 * c @ c)


# ------------------------------------------------------------------------------------------------------------
budgets = statement(
    "C5.32",
    HYP,
    r"Penalising by $\lambda \|w\|_1$ or $\frac\lambda2 \|w\|_2^2$ is the same as constraining the norm to some $t$.",
    but=r"The budget $t(\lambda)$ that goes with a penalty depends on the data, and a budget has a $\lambda > 0$ only "
    r"if it binds: $t$ has to be below the norm of the least-squares solution (of the shortest, if there are several).",
)


@budgets.as_worded
def one_budget(
    A: PositiveSemidefinite[Array, d, d], c: Real[Array, d], other: Real[Array, d], lam: Positive[Array, ()]
):
    r"""Two samples with one design and one $\lambda$ have the same budget"""
    norm = lambda w: jnp.sqrt(w @ w)
    return equal(norm(ridge(A, c, lam)), norm(ridge(A, other, lam)))


def of_one_weight(a, t):
    r"""The minimiser of $\frac12 (w - a)^2$ with $|w| \le t$, and the multiplier of the constraint"""
    w = jnp.clip(a, -t, t)
    return w, abs(a - w)


@budgets.as_worded
def every_budget_binds(a: Real[Array, ()], t: Positive[Array, ()]):
    r"""Each t has a $\lambda > 0$, already for $\frac12 (w - a)^2$"""
    return holds(of_one_weight(a, t)[1] > 0)


@budgets.true
def multiplier(a: Real[Array, ()], t: Positive[Array, ()]):
    r"""There $\lambda = \max(|a| - t, 0)$: the penalised solution $S_\lambda(a)$ is the constrained one"""
    w, lam = of_one_weight(a, t)
    return equal(lam, jnp.maximum(abs(a) - t, 0.0)), equal(soft_threshold(a, lam), w)


@budgets.true
def penalised_is_constrained(X: Real[Array, n, d], u: Real[Array, d], lam: Positive[Array, ()], v: Real[Array, d]):
    r"""The lasso's w has the least loss among all v with $\|v\|_1 \le \|w\|_1$"""
    _, G, c, w = solved(X, u, lam)
    budget, loss = jnp.sum(abs(w)), lambda v: v @ G @ v / 2 - c @ v
    inside = v * (budget / jnp.maximum(budget, jnp.sum(abs(v))))
    return at_most(loss(w), loss(inside), scale=abs(loss(w)) + lam * budget)


@budgets.true
def penalised_is_constrained_for_ridge(
    A: PositiveSemidefinite[Array, d, d], w: Real[Array, d], lam: Positive[Array, ()], v: Real[Array, d]
):
    r"""Where w is the ridge solution it has the least loss among all v with $\|v\|_2 \le \|w\|_2$"""
    c, norm = A @ w + lam * w, lambda w: jnp.sqrt(w @ w)
    loss = lambda v: v @ A @ v / 2 - c @ v
    return at_most(loss(w), loss(v * (norm(w) / jnp.maximum(norm(w), norm(v)))), scale=abs(loss(w)) + abs(c @ w))


def project_to_diamond(a, t):
    r"""Onto $\|w\|_1 \le t$: the sizes are projected to a simplex, if they are too large"""
    return jnp.where(jnp.sum(abs(a)) <= t, a, t * jnp.sign(a) * project_to_simplex(abs(a) / t))


@budgets.true
def constrained_is_penalised(rng):
    r"""The constrained problem, solved by projected gradient at 0.1, 0.5 and 0.9 of the least-squares norm: it meets
    the lasso's KKT conditions with a $\lambda > 0$; at 1.1 of it $\lambda$ is zero"""
    G, c = (jnp.asarray(one) for one in random_problem(rng))
    shares, L = jnp.array([0.1, 0.5, 0.9, 1.1]), jnp.linalg.eigvalsh(G)[-1]
    budget = shares * jnp.sum(abs(jnp.linalg.solve(G, c)))
    step = lambda w: jax.vmap(project_to_diamond)(w - (w @ G - c[None, :]) / L, budget)
    found = np.asarray(iterates(step, jnp.zeros((4, len(c))), 1500)[-1])
    multipliers = np.max(abs(np.asarray(c) - found @ np.asarray(G)), axis=1)
    residuals = [kkt_residual(G, c, lam, w) for lam, w in zip(multipliers, found, strict=True)]
    return at_most(np.array(residuals), 1e-9 * np.max(abs(c))), holds((multipliers > 1e-3) == (shares < 1))


# ------------------------------------------------------------------------------------------------------------
intercept = statement(
    "C5.33",
    HYP,
    r"The bias may be absorbed into w by a column of ones, and w penalised.",
    but=r"That penalises the bias, so the origin of y matters: adding s to all of y does not add s to the "
    r"predictions. With centred features it adds $s n / (n + \lambda)$ only (833.3 of 1000 at n = 50, $\lambda$ = "
    r"10). A penalty on the other weights alone is equivariant.",
)


def absorbed(X, y, lam, of_bias=1.0):
    """Ridge predictions with a column of ones; the penalty of the bias is lam times of_bias."""
    A = jnp.concatenate([X, jnp.ones((len(X), 1))], axis=1)
    penalty = jnp.diag(jnp.append(jnp.ones(X.shape[1]), of_bias))
    return A @ jnp.linalg.solve(A.T @ A + lam * penalty, A.T @ y)


@intercept.as_worded
def equivariant(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], s: Real[Array, ()]):
    r"""Ridge regression with the bias in w: $\hat y(y + s) = \hat y(y) + s$"""
    return equal(absorbed(X, y + s, lam), absorbed(X, y, lam) + s)


@intercept.true
def equivariant_without_penalty(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], s: Real[Array, ()]):
    r"""With no penalty on the bias: $\hat y(y + s) = \hat y(y) + s$"""
    return equal(absorbed(X, y + s, lam, 0.0), absorbed(X, y, lam, 0.0) + s)


@intercept.true
def dampened(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], s: Real[Array, ()]):
    r"""With the penalty, and features of mean zero: $\hat y(y + s) = \hat y(y) + \frac{n}{n + \lambda} s$"""
    X = X - jnp.mean(X, axis=0, keepdims=True)
    return equal(absorbed(X, y + s, lam), absorbed(X, y, lam) + len(y) / (len(y) + lam) * s)


@intercept.true
def a_thousand_more(rng):
    r"""n = 50, $\lambda$ = 10, s = 1000, centred features: every prediction moves by 833.3"""
    X, y = jnp.asarray(rng.standard_normal((50, 3))), jnp.asarray(rng.standard_normal(50))
    X = X - jnp.mean(X, axis=0, keepdims=True)
    predicted = jax.jit(absorbed)
    return close(predicted(X, y + 1000, 10.0) - predicted(X, y, 10.0), 833.3, 0.05)
