r"""The lasso: how it is solved, and when it selects.

$F(w) = \frac12 \|y - Xw\|^2 + \lambda \|w\|_1$, X is n by d; a sample enters by $G = X^\top X$ and $c = X^\top y$ only.
A point w is optimal exactly if $c - Gw = \lambda s$ with s a subgradient of the 1-norm at w (KKT). Such pairs of w and
s are the pairs of $S_1(u)$ and u clipped to [-1, 1], one for every u: so instances with a known solution are made.

Source: ML Math Derivations, part 5, "Regularisation"; the rate: Taylor, Hendrickx and Glineur (2018).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, FullColumnRank, Nonnegative, Positive, Real, UnitInterval, d, n
from jaxderiv.ledger.linear_regression.proximal import lasso_loss
from jaxderiv.ledger.notation import iterates, soft_threshold
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, holds, statement

STEPS = 8


# With a known solution, and solved ---------------------------------------------------------------------------
def solved(X, u, lam):
    """A lasso problem in G and c, and its solution: (F, G, c, w)."""
    w, s, G = soft_threshold(u, 1.0), jnp.clip(u, -1.0, 1.0), X.T @ X
    c = G @ w + lam * s
    return lambda v: v @ G @ v / 2 - c @ v + lam * jnp.sum(abs(v)), G, c, w


def kkt_residual(G, c, lam, w):
    r"""How far $c - Gw$ is from the subgradients of $\lambda \|\cdot\|_1$ at w"""
    slope = c - G @ w
    return np.max(np.where(w == 0, np.maximum(abs(slope) - lam, 0), abs(slope - lam * np.sign(w))))


def coordinate_descent(G, c, lam):
    """The lasso's solution, to 1e-13: minimise along one coordinate after the other."""
    w = np.zeros(len(c))
    while kkt_residual(G, c, lam, w) > 1e-13 * np.max(abs(c)):
        for j in range(len(c)):
            partial = c[j] - G[j] @ w + G[j, j] * w[j]
            w[j] = np.sign(partial) * max(abs(partial) - lam, 0.0) / G[j, j]
    return w


def random_problem(rng, rows=30, columns=6):
    """G and c of a Gaussian design with a linear signal and noise."""
    X = rng.standard_normal((rows, columns))
    y = X @ rng.uniform(1, 2, columns) + rng.standard_normal(rows) / 2
    return X.T @ X, X.T @ y


# ------------------------------------------------------------------------------------------------------------
solvers = statement(
    "C5.27",
    TRUE,
    r"Coordinate descent and proximal gradient solve the lasso; the mark of a solution is $|x_j^\top r| \le \lambda$, "
    r"with $x_j^\top r = \lambda \operatorname{sign} w_j$ where $w_j \ne 0$.",
)


@solvers.true
def certificate(X: Real[Array, n, d], u: Real[Array, d], lam: Positive[Array, ()], v: Real[Array, d]):
    r"""A point with the mark is a global minimum, whatever the rank of X"""
    F, _, _, w = solved(X, u, lam)
    return at_most(F(w), F(v))


@solvers.true
def fixed_point(X: Real[Array, n, d], u: Real[Array, d], lam: Positive[Array, ()], step: Positive[Array, ()]):
    r"""A point with the mark stays where it is: $w = S_{\eta\lambda}(w - \eta (Gw - c))$ for every step $\eta$"""
    _, G, c, w = solved(X, u, lam)
    return equal(soft_threshold(w - step * (G @ w - c), step * lam), w)


SLOWEST = [  # a flat direction, in which each step is lam / L long: after k of them half of the way is left
    {"X": [[1.0, 0.0], [0.0, 0.0]], "u": [0.0, 0.0], "lam": 1 / (2 * k), "start": [0.0, 1.0]} for k in (1, 4, STEPS)
]


@solvers.true(at=SLOWEST)
def proximal_gradient(X: Real[Array, n, d], u: Real[Array, d], lam: Positive[Array, ()], start: Real[Array, d]):
    r"""With step 1/L: $F(w_k) - F^* \le L R^2 / (4k)$ at every iterate; attained"""
    F, G, c, w = solved(X, u, lam)
    L = jnp.linalg.eigvalsh(G)[-1]
    trace = iterates(lambda v: soft_threshold(v - (G @ v - c) / L, lam / L), start, STEPS)
    bounds = L * (start - w) @ (start - w) / (4 * jnp.arange(1.0, STEPS + 1))
    return at_most(jax.vmap(F)(trace[1:]) - F(w), bounds, scale=bounds + abs(F(w)))


@solvers.true
def coordinate_step(
    X: FullColumnRank[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d], v: Real[Array, ()]
):
    r"""$w_j = S_\lambda(x_j^\top (y - \sum_{i \ne j} x_i w_i)) / \|x_j\|^2$ is the best value of this coordinate"""
    F, x = lasso_loss(X, y, lam), X[:, 0]
    best = soft_threshold(x @ (y - X[:, 1:] @ w[1:]), lam) / (x @ x)
    return at_most(F(w.at[0].set(best)), F(w.at[0].set(v)))


@solvers.true
def they_agree(rng):
    r"""Both end at one solution, to ten digits, and it has the mark"""
    G, c = random_problem(rng)
    lam, L = 0.3 * np.max(abs(c)), np.linalg.eigvalsh(G)[-1]
    w = coordinate_descent(G, c, lam)
    v = iterates(lambda v: soft_threshold(v - (G @ v - c) / L, lam / L), jnp.zeros(len(c)), 1500)[-1]
    return close(v, w, 1e-10), at_most(kkt_residual(G, c, lam, w), 1e-12 * np.max(abs(c)))


@solvers.control(at=[{"w": [1.0, 1.0], "v": [0.0, 0.0]}])
def coordinate_descent_of_any_kink(w: Real[Array, 2], v: Real[Array, 2]):
    r"""Where no coordinate alone can improve, nothing can: false of $3|w_1 - w_2| + |w_1 + w_2|$, whose kinks are
    oblique"""
    f = lambda w: 3 * abs(w[0] - w[1]) + abs(w[0] + w[1])
    alone = [f(jnp.array([v[0], w[1]])), f(jnp.array([w[0], v[1]]))]
    stuck = w[0] == w[1]  # on the diagonal either coordinate pays 3 and gains at most 1
    return at_most(jnp.where(stuck, f(w), 0.0), jnp.minimum(f(v), jnp.minimum(*alone)))


# ------------------------------------------------------------------------------------------------------------
selection = statement(
    "C5.28",
    HYP,
    r"The lasso makes coefficients exactly zero.",
    but=r"If $\lambda$ is large enough. All are zero exactly if $\lambda \ge \max_j |x_j^\top y|$; at a small "
    r"$\lambda$, with no fewer observations than features, in general none is.",
)


@selection.as_worded
def some_are_zero(rng):
    r"""At a thousandth of the $\lambda$ that makes all zero, at least one coefficient is zero"""
    G, c = random_problem(rng)
    return holds(np.any(coordinate_descent(G, c, 1e-3 * np.max(abs(c))) == 0))


@selection.true
def all_are_zero(X: Real[Array, n, d], y: Real[Array, n], extra: Nonnegative[Array, ()], v: Real[Array, d]):
    r"""$w = 0$ is optimal if $\lambda \ge \max_j |x_j^\top y|$"""
    F = lasso_loss(X, y, jnp.max(abs(X.T @ y)) + extra)
    return at_most(F(0 * v), F(v))


@selection.control(at=[{"X": [[1.0]], "y": [1.0], "v": [0.02]}])
def all_are_zero_below(X: Real[Array, n, d], y: Real[Array, n], v: Real[Array, d]):
    r"""The same two percent below that $\lambda$"""
    F = lasso_loss(X, y, 0.98 * jnp.max(abs(X.T @ y)))
    return at_most(F(0 * v), F(v))


@selection.true
def not_all_are_zero(X: FullColumnRank[Array, n, d], y: Real[Array, n], share: UnitInterval[Array, ()]):
    r"""Just below, at $\lambda$ a share of it, $w = 0$ loses: coordinate j alone gains
    $(|x_j^\top y| - \lambda)_+^2 / (2\|x_j\|^2)$, which for the best of them is not zero"""
    c, squares = X.T @ y, jnp.sum(X**2, axis=0)
    lam = share * jnp.max(abs(c))
    F, alone = lasso_loss(X, y, lam), jnp.diag(soft_threshold(c, lam) / squares)
    gains = jnp.maximum(abs(c) - lam, 0.0) ** 2 / (2 * squares)
    enough = (1 - share) ** 2 * jnp.max(abs(c)) ** 2 / (2 * jnp.sum(squares))
    return equal(F(0 * c) - jax.vmap(F)(alone), gains), at_most(enough, jnp.max(gains))


@selection.true
def threshold(rng):
    r"""Solved on both sides of $\max_j |x_j^\top y|$: all zero at it, one coefficient a millionth below it"""
    G, c = random_problem(rng)
    top = np.max(abs(c))
    at, below = coordinate_descent(G, c, top), coordinate_descent(G, c, (1 - 1e-6) * top)
    return holds(np.all(at == 0)), holds(np.sum(below != 0) == 1)
