r"""What ADMM delivers: how exact its solution of the lasso is, and the same recipe for other penalties.

Source: ML Math Derivations, part 4, "ADMM"; Boyd et al., "Distributed optimization and statistical learning via ADMM"
(2011), sections 3.3, 6.4 and 7.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, Nonnegative, Positive, Real, d, m, n
from jaxderiv.ledger.convex_optimisation.admm_lasso import iteration
from jaxderiv.ledger.convex_optimisation.dual_problems import half_square
from jaxderiv.ledger.notation import iterates, rotation, soft_threshold
from jaxderiv.theorem import IMPR, TRUE, at_most, equal, holds, statement

exact = statement(
    "C4.94",
    IMPR,
    "The iteration produces the exact lasso solution.",
    r"Only in the limit. After any number of iterations the optimality condition is missed by exactly $X^\top "
    r"X(\beta^+ - z^+) + \rho(z^+ - z)$, which falls slowly if $\rho$ is far from the eigenvalues of $X^\top X$; "
    r"and only z has exact zeros, $\beta$ has none.",
)


def after(rng, rho, count):
    r"""$\beta$, z and by how much z misses the lasso's optimality condition after a count of iterations"""
    X, lam = rng.standard_normal((100, 20)), 5.0
    y = X @ np.repeat([2.0, 0.0], [5, 15]) + 0.5 * rng.standard_normal(100)
    beta, z, _ = (part[-1] for part in iterates(jax.jit(iteration(X, y, lam, rho)), (jnp.zeros(20),) * 3, count))
    price = X.T @ (y - X @ z)
    return beta, z, jnp.max(jnp.where(z == 0, jnp.maximum(abs(price) - lam, 0.0), abs(price - lam * jnp.sign(z))))


@exact.as_worded
def optimal_after_500(rng):
    r"With $\rho = 1$, z satisfies the optimality condition to $10^{-9}$ after 500 iterations"
    return at_most(after(rng, 1.0, 500)[2], 1e-9)


@exact.as_worded
def beta_is_sparse(rng):
    r"$\beta$ has the zeros of z, with $\rho = 100$ after 50 iterations"
    beta, z, _ = after(rng, 100.0, 50)
    return equal(jnp.sum(beta == 0), jnp.sum(z == 0))


@exact.true
def optimal_in_the_limit(rng):
    r"With $\rho = 100$, near the eigenvalues, z satisfies it to $10^{-8}$ after 500 iterations"
    return at_most(after(rng, 100.0, 500)[2], 1e-8)


@exact.true
def only_z_is_sparse(rng):
    r"With $\rho = 100$ after 50 iterations z has exact zeros, and $\beta$ none"
    beta, z, _ = after(rng, 100.0, 50)
    return at_most(1, jnp.sum(z == 0)), holds(jnp.all(beta != 0))


@exact.true
def how_far_from_optimal(
    X: Real[Array, n, d],
    y: Real[Array, n],
    lam: Positive[Array, ()],
    rho: Positive[Array, ()],
    z: Real[Array, d],
    u: Real[Array, d],
):
    r"""$X^\top(y - Xz^+) = \rho u^+ + X^\top X(\beta^+ - z^+) + \rho(z^+ - z)$, and $\rho u^+$ is a subgradient of
    $\lambda\|\cdot\|_1$ at $z^+$"""
    beta, shrunk, moved = iteration(X, y, lam, rho)((z, z, u))
    miss = X.T @ (X @ (beta - shrunk)) + rho * (shrunk - z)
    subgradient = equal(lam * abs(shrunk), rho * moved * shrunk), at_most(rho * abs(moved), lam, lam + rho * abs(moved))
    return equal(X.T @ (y - X @ shrunk), rho * moved + miss), *subgradient


recipe = statement(
    "C4.95",
    TRUE,
    "The same recipe covers the nuclear norm, total variation and consensus over data that is spread.",
)


def nuclear(Z):
    r"""The sum of the singular values of a 2 by 2 matrix, $\sqrt{\|Z\|_F^2 + 2 |\det Z|}$"""
    return jnp.sqrt(jnp.sum(Z**2) + 2 * abs(Z[0, 0] * Z[1, 1] - Z[0, 1] * Z[1, 0]))


@recipe.true
def nuclear_norm(
    left: Real[Array, 2, 2],
    right: Real[Array, 2, 2],
    spectrum: Nonnegative[Array, 2],
    kappa: Positive[Array, ()],
    Z: Real[Array, 2, 2],
):
    r"""Soft thresholding the singular values of A minimises $\frac12\|Z - A\|_F^2 + \kappa\|Z\|_*$, by half the
    squared distance"""
    U, V = rotation(left), rotation(right)
    A, shrunk = (U * spectrum) @ V.T, (U * soft_threshold(spectrum, kappa)) @ V.T
    value = lambda Z: jnp.sum((Z - A) ** 2) / 2 + kappa * nuclear(Z)
    return at_most(value(shrunk) + jnp.sum((Z - shrunk) ** 2) / 2, value(Z))


@recipe.control
def nuclear_norm_by_entries(
    left: Real[Array, 2, 2],
    right: Real[Array, 2, 2],
    spectrum: Nonnegative[Array, 2],
    kappa: Positive[Array, ()],
    Z: Real[Array, 2, 2],
):
    "So does soft thresholding its entries"
    A = (rotation(left) * spectrum) @ rotation(right).T
    value = lambda Z: jnp.sum((Z - A) ** 2) / 2 + kappa * nuclear(Z)
    return at_most(value(soft_threshold(A, kappa)), value(Z))


@recipe.true
def total_variation(x: Real[Array, m], kappa: Positive[Array, ()], rho: Positive[Array, ()], other: Real[Array, m]):
    r"""With y such that x minimises $\frac12\|x - y\|^2 + \kappa\sum_i |x_{i+1} - x_i|$, the iteration for z = Dx
    stays there"""
    D = jnp.diff(jnp.eye(len(x)), axis=0)
    price = kappa * jnp.sign(D @ x)
    y, z, u = x + D.T @ price, D @ x, price / rho
    value = lambda x: half_square(x - y) + kappa * jnp.sum(abs(D @ x))
    solved = jnp.linalg.solve(jnp.eye(len(x)) + rho * D.T @ D, y + rho * D.T @ (z - u))
    stays = equal(solved, x), equal(soft_threshold(D @ solved + u, kappa / rho), z)
    return *stays, at_most(value(x) + half_square(other - x), value(other))


@recipe.true
def consensus(rng):
    r"""Ridge on data spread over four machines: each solves its own, the average travels, and it tends to the
    solution of all"""
    X, y, rho, lam = rng.standard_normal((4, 10, 3)), rng.standard_normal((4, 10)), 10.0, 1.0
    pooled = np.linalg.solve(np.einsum("kij,kil->jl", X, X) + lam * np.eye(3), np.einsum("kij,ki->j", X, y))
    own = [np.linalg.inv(part.T @ part + rho * np.eye(3)) for part in X]
    z, u = np.zeros(3), np.zeros((4, 3))
    for _ in range(300):
        w = np.array([own[k] @ (X[k].T @ y[k] + rho * (z - u[k])) for k in range(4)])
        z = rho * np.sum(w + u, axis=0) / (lam + 4 * rho)
        u = u + w - z
    return at_most(np.max(abs(z - pooled)), 1e-9), at_most(np.max(abs(w - pooled)), 1e-9)
